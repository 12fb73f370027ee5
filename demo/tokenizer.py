"""The demo policy's byte-level BPE tokenizer and its chat template."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 2048
MAX_LENGTH = 1024

PAD, END = "<|pad|>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
SPECIAL_TOKENS = [PAD, END, *ROLES.values()]

# No newline stands between the turns: a special token always cuts the text around it, so the
# tokens of a prompt are the exact beginning of the tokens of prompt and answer together.
CHAT_TEMPLATE_FILE = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn the merges from texts and wrap the result for transformers."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # One token a digit: a number always reads the same, whatever stands next to it.
            pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL_TOKENS,
        # Every byte has a token, so every text can be written and read back.
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(ROLES.values()),
        model_max_length=MAX_LENGTH,
        padding_side="left",
        # Else decoding would turn "a ." into "a.", and a text would not come back as it was.
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE_FILE.read_text(encoding="utf-8").rstrip("\n")
    return tokenizer


def plain_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """A text's tokens, with the spelling of a special token read as ordinary characters."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def check_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    """Fail if a promise that the judging and the template rely on does not hold."""
    for letter in ("A", "B", " A", " B"):
        if len(plain_ids(tokenizer, letter)) != 1:
            raise ValueError(f"{letter!r} is not a single token")
    text = "Round trip: 12 ÷ 3.5 = 42 <|user|> \n\n\té 🙂 ."
    if tokenizer.decode(plain_ids(tokenizer, text)) != text:
        raise ValueError("a text does not survive encoding and decoding")
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A"}]
    prompt = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(chat, return_dict=False)
    if whole[: len(prompt)] != prompt:
        raise ValueError("a prompt's tokens do not begin the tokens of the whole chat")
