import io
import sys

import pooch
import pytest
import requests

from dualbound.data.progress import Line
from dualbound.data.published import Published, folders, held, locate
from dualbound.errors import DataError

CONTENT = bytes(range(256)) * 1000
SOURCE = Published("set", ("https://a.example/", "https://b.example/"), {"x.bin": ""})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Puts a terminal in the place of standard error; pytest's own comes back after each phase."""

    def put():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return put


@pytest.fixture
def served(monkeypatch):
    """What each address answers, instead of the network."""
    answers = {}

    def get(url, **options):
        response = requests.Response()
        answer = answers.get(url)
        response.status_code = 200 if answer is not None else 404
        response.raw = io.BytesIO(answer or b"")
        response.headers["content-length"] = str(len(answer or b""))
        return response

    monkeypatch.setattr(requests, "get", get)
    pooch.get_logger().setLevel("ERROR")
    yield answers
    pooch.get_logger().setLevel("INFO")


@pytest.fixture
def source(tmp_path):
    """The source with the checksum of `CONTENT`."""
    (tmp_path / "x").write_bytes(CONTENT)
    return Published("set", SOURCE.mirrors, {"x.bin": pooch.file_hash(str(tmp_path / "x"), "md5")})


def test_a_file_is_downloaded_once_into_the_cache(cache, served, source):
    served["https://a.example/x.bin"] = CONTENT
    path = locate(source, "x.bin")
    assert path == cache / "set" / "x.bin"
    assert path.read_bytes() == CONTENT
    served.clear()
    assert locate(source, "x.bin") == path


@pytest.mark.parametrize("wrong", [None, CONTENT[:-1], b"<html>404</html>"])
def test_a_mirror_that_gives_another_file_is_passed_over(cache, served, source, wrong):
    served["https://a.example/x.bin"] = wrong
    served["https://b.example/x.bin"] = CONTENT
    assert locate(source, "x.bin").read_bytes() == CONTENT


def test_no_mirror_is_an_error_and_leaves_no_file(cache, served, source):
    served["https://a.example/x.bin"] = b"something else"
    with pytest.raises(
        DataError, match=r"a\.example/: ValueError; .*b\.example/: HTTPError\)\. Put"
    ):
        locate(source, "x.bin")
    assert held("set", "x.bin") is None
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_a_download_shows_how_far_it_is_on_a_terminal(cache, served, source, terminal):
    served["https://a.example/x.bin"] = CONTENT
    shown = terminal()
    locate(source, "x.bin")
    text = shown.getvalue()
    assert "downloading x.bin  26 %" in text
    assert text.endswith("\r")


def test_a_loose_file_may_lie_in_the_data_folder_itself(cache, tmp_path, monkeypatch):
    assert list(folders("set", loose=True)) == [cache / "set"]
    monkeypatch.setenv("DUALBOUND_DATA", str(tmp_path))
    assert list(folders("set")) == [tmp_path / "set", cache / "set"]
    assert list(folders("set", loose=True)) == [tmp_path / "set", tmp_path, cache / "set"]


# The line


def test_the_line_is_gone_at_the_end_also_after_an_error(terminal):
    def interrupted():
        with Line("reading", total=4) as line:
            line.update(1)
            raise KeyboardInterrupt

    shown = terminal()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert shown.getvalue() == "\rreading  25 %\r             \r"


def test_a_total_that_is_not_known_has_no_share():
    line = Line("reading")
    line.update(7)
    assert line.text() == "reading"
    line.total = 5
    assert line.text() == "reading  100 %"
    line.reset()
    assert line.text() == "reading  0 %"


def test_the_line_is_written_seldom(terminal):
    shown = terminal()
    with Line("reading", total=10_000) as line:
        for _ in range(10_000):
            line.update(1)
    assert 0 < shown.getvalue().count("reading") < 1000
