"""Texts become the ids they should, are cut where they should, and what is no text is named by its position."""

import itertools
import json
import os
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from simcse_engine.errors import InputTypeError, InputValueError, IntegrityError
from simcse_engine.inputs import check_texts
from simcse_engine.tokenizer import LONGEST, Tokenizer
from support.checkpoints import make_checkpoint
from support.child import run_script


@pytest.fixture(scope="module", params=["bert", "roberta"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer's file."""
    folder = tmp_path_factory.mktemp("tokenizer") / request.param
    return make_checkpoint(folder, model_type=request.param) / "tokenizer.json"


def all_ids(path: Path, text: str) -> list[int]:
    """The ids without any limit."""
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def cut_ids(path: Path, text: str, max_tokens: int) -> list[int]:
    """The ids of as much as fits between the first and the last special token."""
    ids = all_ids(path, text)
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]


@given(texts=st.lists(st.text(max_size=60), max_size=8), max_tokens=st.integers(3, 40))
def test_ids_and_cut_positions(path: Path, texts: list[str], max_tokens: int) -> None:
    tokens = Tokenizer(path, max_tokens).encode(texts)
    assert tokens.ids == [cut_ids(path, text, max_tokens) for text in texts]
    assert tokens.cut == [i for i, text in enumerate(texts) if len(all_ids(path, text)) > max_tokens]


def test_exactly_the_limit_is_not_cut(path: Path) -> None:
    for words in range(12):
        text = " ".join(["the"] * words)
        count = len(all_ids(path, text))
        for max_tokens in range(3, 16):
            tokens = Tokenizer(path, max_tokens).encode(["", text, text])
            assert tokens.cut == ([1, 2] if count > max_tokens else [])
            assert [len(ids) for ids in tokens.ids] == [2, *[min(count, max_tokens)] * 2]


@pytest.mark.parametrize("direction", ["Left", "Right"])
@pytest.mark.parametrize("strategy", ["BatchLongest", {"Fixed": 20}])
def test_serialized_padding_and_truncation_give_way(
    path: Path, tmp_path: Path, direction: str, strategy: object
) -> None:
    content = json.loads(path.read_bytes())
    content["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 2}
    content["padding"] = {
        **{"strategy": strategy, "direction": direction, "pad_to_multiple_of": 8},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    }
    altered = tmp_path / "tokenizer.json"
    altered.write_text(json.dumps(content))
    texts = ["", "a man", "a man plays the guitar on a mat with a dog and a cat"]
    assert tokenizers.Tokenizer.from_file(str(altered)).encode(texts[0]).ids != Tokenizer(path, 9).encode(texts).ids[0]
    assert Tokenizer(altered, 9).encode(texts) == Tokenizer(path, 9).encode(texts)


def test_a_megabyte(path: Path) -> None:
    texts = ["a man " * 170_000, "a" * 1_000_000]
    tokens = Tokenizer(path, 16).encode(texts)
    assert all(len(ids) <= 16 for ids in tokens.ids)
    assert 0 in tokens.cut
    assert tokens.ids[0] == cut_ids(path, "a man " * 20, 16)


def test_no_texts(path: Path) -> None:
    assert (Tokenizer(path, 8).encode([]).ids, Tokenizer(path, 8).encode([]).cut) == ([], [])


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_no_room_for_a_word(path: Path, max_tokens: int) -> None:
    with pytest.raises(InputValueError, match=f"max_tokens={max_tokens}: this tokenizer needs at least 3"):
        Tokenizer(path, max_tokens)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"model": {"type": "Unheard"}}', "\0"])
def test_unreadable_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(IntegrityError, match=rf"tokenizer.json: tokenizers {tokenizers.__version__} cannot read it"):
        Tokenizer(tmp_path / "tokenizer.json", 8)


@given(st.lists(st.text()))
def test_texts_pass(texts: list[str]) -> None:
    check_texts(texts)


@given(
    before=st.lists(st.text(), max_size=4),
    head=st.text(max_size=5),
    surrogate=st.characters(categories=["Cs"]),
    tail=st.text(max_size=5),
    start=st.integers(0, 10**6),
)
def test_lone_surrogate(before: list[str], head: str, surrogate: str, tail: str, start: int) -> None:
    with pytest.raises(InputValueError) as raised:
        check_texts([*before, head + surrogate + tail, "\ud800", 5], start=start)  # type: ignore[list-item]
    says = f"texts[{start + len(before)}] holds a lone surrogate ({surrogate!a}) at character {len(head)};"
    assert str(raised.value).startswith(says)
    str(raised.value).encode()


@pytest.mark.parametrize("value", [None, 5, 1.5, b"bytes", ["a"], ("a", "b"), object(), float("nan")])
def test_no_str(value: object) -> None:
    with pytest.raises(InputTypeError) as raised:
        check_texts(["a", "", value, None], start=7)  # type: ignore[list-item]
    assert str(raised.value) == f"texts[9] is {type(value).__name__}, not str"
    assert isinstance(raised.value, TypeError)


def test_leaves_no_thread(path: Path) -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    script = """
        import os, sys
        from pathlib import Path
        from simcse_engine.tokenizer import Tokenizer
        before = len(os.listdir("/proc/self/task"))
        Tokenizer(Path(sys.argv[1]), 8).encode(["a man plays the guitar"] * 100)
        print(len(os.listdir("/proc/self/task")) - before)
    """
    assert run_script(script, path, TOKENIZERS_PARALLELISM=os.environ.get("TOKENIZERS_PARALLELISM", "true")) == "0\n"


def test_together_is_as_one_by_one(path: Path) -> None:
    # In a process of its own: the library's threads stay.
    script = """
        import sys
        from pathlib import Path
        from simcse_engine.tokenizer import Tokenizer

        texts = ["", "a", "the cat sat on the mat", "一个男人在弹吉他。", "the " * 40, "[SEP] </s>"]
        texts.append("unbelievable" * 400)
        # Short ones, ones at the limit, and ones so long that only a part is read, in every order of the two ways.
        texts = [*(" ".join(["dog"] * n) for n in range(40)), *texts * 3, "a dog " * 5000, *texts]
        # Several parts, of which one alone has the long text; and parts without any.
        short = ["a dog", "the cat sat on the mat" * 3] * 600
        for max_tokens, texts in ((3, texts), (8, texts), (20, texts), (8, [*short, *texts, *short]), (8, short)):
            alone = Tokenizer(Path(sys.argv[1]), max_tokens).encode(texts)
            together = Tokenizer(Path(sys.argv[1]), max_tokens, together=True).encode(texts)
            assert together.ids == alone.ids
            assert together.cut == alone.cut
            counts = [Tokenizer(Path(sys.argv[1]), max_tokens, together=way).counts(texts) for way in (True, False)]
            assert counts[0] == counts[1]
            assert [min(count, max_tokens) for count in counts[0]] == [len(ids) for ids in alone.ids]
            assert 0 < len(alone.cut) < len(texts)
        print("alike")
    """
    assert run_script(script, path) == "alike\n"


@given(
    words=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8),
    max_tokens=st.integers(3, 12),
    length=st.integers(LONGEST - 50, LONGEST + 1000),
)
@settings(max_examples=40)
def test_very_long_texts_are_cut_as_if_read_whole(path: Path, words: list[str], max_tokens: int, length: int) -> None:
    # Around and far beyond the length from which a text is read in pieces.
    text = "".join(itertools.islice(itertools.cycle(" ".join([*words, ""])), length))
    tokens = Tokenizer(path, max_tokens).encode([text])
    assert tokens.ids == [cut_ids(path, text, max_tokens)]
    assert tokens.cut == ([0] if len(all_ids(path, text)) > max_tokens else [])


def test_a_long_text_takes_little_memory(path: Path) -> None:
    script = """
        import resource, sys
        from pathlib import Path
        from simcse_engine.tokenizer import Tokenizer

        tokenizer = Tokenizer(Path(sys.argv[1]), 16)
        units = "漢", "\\n", ",", "\\u00a0", "ab", "\\u0301", "Ω", "한"
        texts = [unit * (500_000 // len(unit)) for unit in units]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tokenizer.encode(texts)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(grown // (1024 if sys.platform == "darwin" else 1) < 50_000)
    """
    assert run_script(script, path) == "True\n"


def test_other_threads_go_on_while_a_long_text_is_read_and_a_fork_can_read_it_too(path: Path) -> None:
    # One tokenizer makes one token of it, at its end; the other so many that no short piece gives them.
    script = """
        import os, sys, threading, time
        from pathlib import Path
        from simcse_engine.tokenizer import Tokenizer

        tokenizer, text = Tokenizer(Path(sys.argv[1]), 8192), "aguitarman" * 100_000
        sys.setswitchinterval(0.0005)
        steps, ended = 0, False

        def step():
            global steps
            while not ended:
                steps += 1
                time.sleep(0.0005)

        thread = threading.Thread(target=step)
        thread.start()
        tokens = tokenizer.encode([text])
        taken, ended = steps, True
        thread.join()
        child = os.fork()
        if not child:
            os._exit(0 if tokenizer.encode([text, "short"]).ids[0] == tokens.ids[0] else 1)
        print(taken > 20, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_script(script, path) == "True 0\n"


@pytest.mark.parametrize(
    "text", [" " * 3000, "\u200b" * 3000 + " a man", "a" * 3000, ("\x00" * 99 + " ") * 40 + "a man plays"]
)
def test_long_texts_of_few_tokens(path: Path, text: str) -> None:
    assert Tokenizer(path, 8).encode([text]).ids == [cut_ids(path, text, 8)]
