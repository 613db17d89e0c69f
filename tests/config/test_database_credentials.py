"""Passwords are found where people keep them, and seen nowhere else."""

from __future__ import annotations

import doctest
import json
import os

import pytest

import armillary.database_credentials
from armillary.butler import Butler
from armillary.database_credentials import find_credentials
from armillary.errors import ConfigurationError
from armillary.testing import fill_small_repository

CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    for name in ("LSST_DB_AUTH", "LSST_DB_AUTH_CREDENTIALS", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def entry(url, username="u", password="p"):
    return {"url": url, "username": username, "password": password}


def test_the_first_entry_that_fits_counts(monkeypatch):
    entries = [
        entry("postgresql://other/*"),
        entry("postgresql://*.example.org:5433/main", "port", "a"),
        entry("postgresql://*.example.org/ma*", "glob", "b"),
        entry("postgresql://*.example.org/main", "late", "c"),
    ]
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", json.dumps(entries))
    found = find_credentials("postgresql://db.example.org/main")
    assert (found.url, found.password) == ("postgresql://glob@db.example.org/main", "b")
    assert find_credentials("postgresql+psycopg://db.example.org:5433/main").password == "a"
    assert find_credentials("postgresql://late@db.example.org/main").password == "c"
    assert find_credentials("postgresql://nobody@db.example.org/main").password is None
    assert find_credentials("postgresql://x:y@db.example.org/main").password == "y"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(monkeypatch, tmp_path, mode):
    file = write(tmp_path / "db-auth.yaml", f"- {{url: 'postgresql://h/d', username: u, password: {CANARY}}}", mode)
    monkeypatch.setenv("LSST_DB_AUTH", file)
    with pytest.raises(ConfigurationError, match="chmod 600") as refused:
        find_credentials("postgresql://h/d")
    assert CANARY not in str(refused.value)
    os.chmod(file, 0o600)
    assert find_credentials("postgresql://h/d").password == CANARY


@pytest.mark.parametrize("text", [f"{{a: {CANARY}", f"password: {CANARY}", f"- {{url: 'x://h', password: {CANARY}}}"])
def test_what_is_no_list_of_credentials_is_refused_without_showing_it(monkeypatch, tmp_path, text):
    monkeypatch.setenv("LSST_DB_AUTH", write(tmp_path / "db-auth.yaml", text))
    with pytest.raises(ConfigurationError, match=r"db-auth\.yaml") as refused:
        find_credentials("postgresql://h/d")
    error = refused.value
    while error is not None:
        assert CANARY not in str(error)
        error = error.__cause__
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", f"[{CANARY}")
    with pytest.raises(ConfigurationError, match="not JSON") as refused:
        find_credentials("postgresql://h/d")
    assert CANARY not in repr(refused.getrepr(style="short"))


def test_the_password_file_of_the_database_is_read_last(tmp_path, monkeypatch):
    lines = ["# a comment", "h:5432:d:else:no", r"h:*:d:me\:x:a\:b\\c", "*:*:*:*:any"]
    file = write(tmp_path / "pgpass", "\n".join(lines))
    assert find_credentials("postgresql://me%3Ax@h/d").password == "a:b\\c"
    assert find_credentials("postgresql://h2/d").password == "any"
    monkeypatch.setenv("PGPASSWORD", "environment")
    assert find_credentials("postgresql://h2/d").password == "environment"
    monkeypatch.delenv("PGPASSWORD")
    os.chmod(file, 0o644)
    with pytest.warns(UserWarning, match="not read"):
        assert find_credentials("postgresql://h2/d").password is None


def test_a_server_that_wants_a_password_gets_it_and_nobody_sees_it(cluster, tmp_path, monkeypatch, caplog):
    namespace = cluster.new_namespace()
    cluster.sql(f"CREATE ROLE guarded LOGIN PASSWORD '{CANARY}'; GRANT ALL ON DATABASE armillary TO guarded")
    url = cluster.url.replace("armillary@", "guarded@", 1)
    seed = {"registry": {"db": url, "namespace": namespace}}
    root = str(tmp_path / "repo")
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", json.dumps([entry("postgresql://*/armillary", "guarded", "wrong")]))
    with pytest.raises(Exception, match="password authentication failed") as refused:
        Butler.makeRepo(root, config=seed)
    assert "wrong" not in str(refused.value).replace("password authentication", "")
    assert not os.path.exists(root), "nothing is left of a repository that could not be made"
    monkeypatch.setenv("LSST_DB_AUTH_CREDENTIALS", json.dumps([entry("postgresql://*/armillary", "guarded", CANARY)]))
    Butler.makeRepo(root, config=seed)
    with Butler(root, writeable=True, run="u/me") as butler:
        fill_small_repository(butler)
        shown = [
            repr(butler),
            str(butler),
            repr(butler.registry),
            repr(butler._core_registry),
            butler._core_registry.path,
        ]
    with pytest.raises(Exception) as failed:
        Butler(root, collections="no/such")
    assert not any(CANARY in text for text in (*shown, str(failed.value), caplog.text))
    assert CANARY not in (tmp_path / "repo" / "butler.yaml").read_text()


def test_examples_run():
    assert doctest.testmod(armillary.database_credentials).failed == 0
