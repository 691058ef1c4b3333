"""Makes corral-tiny again, in whole or step by step: `python -m scripts.tiny all`.

Needs PyTorch, tokenizers, gguf and numpy to make the model, llama-cpp-python to score it. On two
CPU cores the data takes a minute, training the given `--minutes`, converting and scoring another.
Training resumes from its checkpoint when it is stopped. README.md beside this file has the scores.
"""

# PyTorch and tokenizers are needed to train only, and are not among the dev dependencies.
# pyright: basic, reportMissingImports=false

import argparse
from pathlib import Path

from .convert import write_gguf
from .corpus import build, load
from .model import TinyConfig
from .score import assert_unseen, has_questions, report
from .tokenizer import load_tokenizer
from .train import load_model, train

ROOT = Path(__file__).resolve().parents[2]
GGUF = ROOT / "app" / "catalog" / "builtin" / "corral-tiny.gguf"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts.tiny", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("data", "train", "convert", "score", "all"))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "tiny")
    parser.add_argument("--gguf", type=Path, default=GGUF)
    parser.add_argument("--minutes", type=float, default=55.0, help="minutes of training")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Run the step that was asked for, or all of them."""
    asked = _arguments()
    if asked.step in ("data", "all"):
        build(asked.folder, TinyConfig().trained_length)
    if asked.step in ("train", "all"):
        train(asked.folder, load(asked.folder), asked.minutes, asked.threads)
    if asked.step in ("convert", "all"):
        model, progress = load_model(asked.folder / "checkpoint.pt")
        write_gguf(model, load_tokenizer(asked.folder / "tokenizer.json"), asked.gguf)
        print(f"{asked.gguf}: {progress.step} steps, {progress.tokens} tokens")
    if asked.step in ("score", "all"):
        if has_questions(asked.folder):
            assert_unseen(asked.folder)
        else:
            print("Not checked against the training data: the step `data` makes it again.")
        report(asked.gguf)


if __name__ == "__main__":
    main()
