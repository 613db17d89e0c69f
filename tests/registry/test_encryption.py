"""Sessions with a server over a network: encrypted or not, and with whom."""

from __future__ import annotations

import subprocess
from contextlib import closing
from types import SimpleNamespace

import pytest

from armillary import _core
from armillary.butler import Butler, DatasetType
from armillary.errors import ArgumentError, RegistryError
from databases import running_cluster

IS_ENCRYPTED = (
    "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'armillary'"
)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder):
    """An authority, a certificate of a server by it, and one that a server has signed itself; each with its key."""
    found = SimpleNamespace()
    for name in ("authority", "stranger", "own"):
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        )
        setattr(found, name, (certificate, key))
    request, certificate, key = folder / "server.csr", folder / "server.crt", folder / "server.key"
    openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server"),
        *("-keyout", key, "-out", request),
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        *("x509", "-req", "-in", request, "-days", 2, "-CA", found.authority[0], "-CAkey", found.authority[1]),
        *("-CAcreateserial", "-extfile", folder / "names", "-out", certificate),
    )
    found.server = (certificate, key)
    return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def own_cluster():
    """A server of these tests alone; its database `insists` takes only those who encrypt, `armillary` everybody."""
    with running_cluster() as cluster:
        if cluster is None:
            pytest.skip("no PostgreSQL server is installed")
        cluster.add_database("insists")
        rules = cluster.sql("SHOW hba_file")
        with open(rules) as file:
            text = file.read()
        with open(rules, "w") as file:
            file.write(f"hostnossl insists all all reject\n{text}")
        yield cluster


@pytest.fixture(scope="module")
def plain(own_cluster):
    """Host and port of a server that does not encrypt, with one repository."""
    address = own_cluster.listen(None)
    _core.Registry.create_on_server(f"postgresql://armillary@{address}/armillary", _core.DimensionUniverse())
    return address


@pytest.fixture(scope="module")
def encrypted(plain, own_cluster, certificates):
    """Host and port of the same server, which encrypts, after the tests of the one that did not."""
    address = own_cluster.listen(certificates.server)
    _core.Registry.create_on_server(f"postgresql://armillary@{address}/insists", _core.DimensionUniverse())
    return address


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PGSSLMODE", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)


def is_encrypted(cluster, address, options="", database="armillary"):
    """Whether a session is encrypted that begins with these options."""
    url = f"postgresql://armillary@{address}/{database}{options and '?'}{options}"
    with closing(_core.Registry.open_on_server(url, writeable=True)):
        return {"t": True, "f": False}[cluster.sql(IS_ENCRYPTED)]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_that_does_not_encrypt_is_told(plain, certificates, mode):
    with pytest.raises(RegistryError, match=f"the server does not encrypt, and `sslmode={mode}` demands it"):
        is_encrypted(None, plain, f"sslmode={mode}&sslrootcert={certificates.authority[0]}")


@pytest.mark.parametrize("mode", ["", "disable", "allow", "prefer"])
def test_a_server_that_does_not_encrypt_serves_those_who_do_not_mind(plain, own_cluster, mode):
    assert not is_encrypted(own_cluster, plain, mode and f"sslmode={mode}")


@pytest.mark.parametrize(
    ("mode", "expected"), [("", True), ("disable", False), ("allow", False), ("prefer", True), ("require", True)]
)
def test_each_mode_does_what_it_says(encrypted, own_cluster, mode, expected):
    assert is_encrypted(own_cluster, encrypted, mode and f"sslmode={mode}") is expected


def test_a_server_may_insist(encrypted, own_cluster):
    for mode in ("", "sslmode=allow", "sslmode=require"):
        assert is_encrypted(own_cluster, encrypted, mode, "insists")
    with pytest.raises(RegistryError, match=r"connecting to .*: pg_hba\.conf rejects connection.*no encryption"):
        is_encrypted(own_cluster, encrypted, "sslmode=disable", "insists")


def test_the_environment_is_asked_where_the_address_says_nothing(encrypted, own_cluster, certificates, monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert not is_encrypted(own_cluster, encrypted)
    assert is_encrypted(own_cluster, encrypted, "sslmode=require")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates.stranger[0]))
    with pytest.raises(RegistryError, match="signed by none of those"):
        is_encrypted(own_cluster, encrypted)
    monkeypatch.setenv("PGSSLROOTCERT", str(certificates.authority[0]))
    assert is_encrypted(own_cluster, encrypted)


def test_only_a_trusted_server_of_that_name_is_verified(encrypted, own_cluster, certificates):
    roots = f"sslrootcert={certificates.authority[0]}"
    by_number = encrypted.replace("localhost", "127.0.0.1")
    assert is_encrypted(own_cluster, encrypted, f"sslmode=verify-full&{roots}")
    assert is_encrypted(own_cluster, by_number, f"sslmode=verify-ca&{roots}")
    with pytest.raises(RegistryError, match=r"certificate is not for this host name.*sslmode=verify-ca"):
        is_encrypted(own_cluster, by_number, f"sslmode=verify-full&{roots}")
    strange = f"sslrootcert={certificates.stranger[0]}"
    for mode in ("require", "verify-ca", "verify-full"):  # a file of certificates is not for show
        with pytest.raises(RegistryError, match=r"signed by none of those in `.*stranger\.crt`"):
            is_encrypted(own_cluster, encrypted, f"sslmode={mode}&{strange}")


def test_the_file_in_the_home_folder_is_used(encrypted, own_cluster, certificates, tmp_path):
    usual = tmp_path / ".postgresql" / "root.crt"
    with pytest.raises(ArgumentError, match=r"there is no file `.*\.postgresql/root\.crt` of certificates to trust"):
        is_encrypted(own_cluster, encrypted, "sslmode=verify-full")
    usual.parent.mkdir()
    usual.write_bytes(certificates.authority[0].read_bytes())
    assert is_encrypted(own_cluster, encrypted, "sslmode=verify-full")
    usual.write_bytes(certificates.stranger[0].read_bytes())
    with pytest.raises(RegistryError, match="signed by none of those"):
        is_encrypted(own_cluster, encrypted, "sslmode=verify-full")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("sslmode=requires", r"`requires` is not a mode of encryption \(did you mean `require`\?\)"),
        ("sslmode=verify-full&sslrootcert=/nowhere.crt", "there is no file `/nowhere.crt` of certificates to trust"),
        ("sslmode=require&sslrootcert=system", "would trust any server of the Internet"),
        ("sslmode=verify-ca&sslrootcert={here}", "is not a file of certificates: it has none in PEM form"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(options, said, tmp_path):
    (tmp_path / "empty.crt").write_text("no certificate\n")
    options = options.format(here=tmp_path / "empty.crt")
    with pytest.raises(ArgumentError, match=said):
        _core.Registry.open_on_server(f"postgresql://armillary@localhost:1/armillary?{options}", writeable=True)


def test_a_repository_is_made_and_used(encrypted, own_cluster, certificates, tmp_path):
    url = f"postgresql://armillary@{encrypted}/insists?sslmode=verify-full&sslrootcert={certificates.authority[0]}"
    Butler.makeRepo(tmp_path / "repo", config={"registry": {"db": url, "namespace": "made"}})
    with Butler.from_config(tmp_path / "repo", writeable=True, run="run") as butler:
        kind = DatasetType("note", [], "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        long = {"text": "x" * 100_000}
        butler.put(long, "note")
        assert butler.get("note") == long
        assert own_cluster.sql(IS_ENCRYPTED) == "t"


def test_a_server_that_signed_itself_is_trusted_by_its_own_certificate(encrypted, own_cluster, certificates):
    """The last test here: the server starts again, with another certificate."""
    address = own_cluster.listen(certificates.own)
    roots = f"sslrootcert={certificates.own[0]}"
    assert is_encrypted(own_cluster, address, f"sslmode=verify-full&{roots}")
    with pytest.raises(RegistryError, match="not for this host name"):
        is_encrypted(own_cluster, address.replace("localhost", "127.0.0.1"), f"sslmode=verify-full&{roots}")
    with pytest.raises(RegistryError, match="the server's certificate is not trusted"):
        is_encrypted(own_cluster, address, f"sslmode=verify-ca&sslrootcert={certificates.authority[0]}")
