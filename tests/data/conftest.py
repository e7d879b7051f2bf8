import platformdirs
import pooch
import pytest
import requests


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty user cache and no DUALBOUND_DATA."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda app: folder)
    monkeypatch.delenv("DUALBOUND_DATA", raising=False)
    return folder


@pytest.fixture
def offline(monkeypatch):
    """No network; the addresses that were asked for."""
    asked = []

    def refuse(url, **options):
        asked.append(url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    return asked
