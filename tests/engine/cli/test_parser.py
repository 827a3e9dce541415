"""What the command line says to whoever mistypes, or types nothing."""

import pytest

from support.commands import failure, wrong_use


@pytest.mark.parametrize(
    ("args", "suggestion"),
    [
        (
            ["serach", "index", "a cat"],
            "invalid choice: 'serach', did you mean search? (choose from encode, ",
        ),
        (["index", "ad", "index", "file"], "invalid choice: 'ad', did you mean add?"),
        (["encode", "a", "--ouput", "v.npy"], "unknown option: --ouput, did you mean --output?"),
        (["encode", "a", "--thread=2", "-o", "v.npy"], "unknown option: --thread, did you mean --threads?"),
        (["--verson"], "unknown option: --verson, did you mean --version?"),
        (["encode", "a", "-o", "v.npy", "--truncate", "slient"], "'slient', did you mean silent? (choose from warn,"),
        (["encode", "a", "-o", "v.npy", "--quantum"], "unknown option: --quantum\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_typing_errors(args: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = wrong_use(capsys, *args)
    assert suggestion in message
    assert message.startswith("usage: simcse-engine")


@pytest.mark.parametrize("args", [[], ["index"], ["encode"], ["index", "create"]], ids=" ".join)
def test_no_arguments_show_the_help(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    message = wrong_use(capsys, *args)
    assert "--help" in message
    assert "error: " not in message


def test_what_looks_like_an_option_and_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    # Sentences, after -- or with a space; the folder is what is wrong here.
    assert "does not exist" in failure(capsys, "similarity", "none", "--", "--a", "--b")
    assert "does not exist" in failure(capsys, "similarity", "none", "--a b", "--b c")
