"""Sessions with a server over a network: encrypted or not, and with whom."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path
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


def make_client(folder, authority, user, *options):
    """A certificate of a client by an authority, of version 1 if there are no extensions, and its key."""
    request, certificate, key = (folder / f"client.{ending}" for ending in ("csr", "crt", "key"))
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={user}", "-keyout", key, "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-days", 2, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial"),
        *("-out", certificate, *options),
    )
    key.chmod(0o600)
    return certificate, key


def make_dated(folder, authority, begin, end):
    """A certificate of a server by an authority that is valid from `begin` to `end` (`YYYYMMDD`), and its key."""
    request, certificate, key = (folder / f"{begin}.{ending}" for ending in ("csr", "crt", "key"))
    openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", request),
    )
    (folder / "index").write_text("")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = own\n[own]\ndatabase = {folder}/index\nnew_certs_dir = {folder}\nrand_serial = yes\n"
        "default_md = sha256\npolicy = any\ncopy_extensions = copy\n[any]\ncommonName = supplied\n"
    )
    openssl(
        *("ca", "-batch", "-config", folder / "ca.cnf", "-cert", authority[0], "-keyfile", authority[1]),
        *("-startdate", f"{begin}000000Z", "-enddate", f"{end}000000Z", "-in", request, "-out", certificate),
    )
    return certificate, key


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
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"):
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
    with pytest.raises(
        RegistryError,
        match=r"certificate of the server `127\.0\.0\.1` is not for this host name.*localhost.*sslmode=verify-ca",
    ):
        is_encrypted(own_cluster, by_number, f"sslmode=verify-full&{roots}")
    strange = f"sslrootcert={certificates.stranger[0]}"
    for mode in ("require", "verify-ca", "verify-full"):  # a file of certificates is not for show
        told = rf"server `localhost` is signed by none of those in `.*stranger\.crt`, and `sslmode={mode}` trusts only"
        with pytest.raises(RegistryError, match=told):
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
    """From here on the server starts again, with other certificates."""
    address = own_cluster.listen(certificates.own)
    roots = f"sslrootcert={certificates.own[0]}"
    assert is_encrypted(own_cluster, address, f"sslmode=verify-full&{roots}")
    with pytest.raises(RegistryError, match="not for this host name"):
        is_encrypted(own_cluster, address.replace("localhost", "127.0.0.1"), f"sslmode=verify-full&{roots}")
    told = (
        r"the server `localhost` signed its certificate itself, and `sslmode=verify-ca` trusts only what is in "
        r"`.*authority\.crt`; if it is the right server, `sslrootcert=\.\.\.` names a file with this very certificate"
    )
    with pytest.raises(RegistryError, match=told):
        is_encrypted(own_cluster, address, f"sslmode=verify-ca&sslrootcert={certificates.authority[0]}")


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        (
            "20200101",
            "20200102",
            r"certificate of the server `localhost` expired \d{4} days ago; whoever runs the server",
        ),
        ("20990101", "20990102", r"server `localhost` is not valid for another \d+ days; see whether the clock"),
    ],
)
def test_a_certificate_is_trusted_in_its_time_only(encrypted, own_cluster, certificates, tmp_path, begin, end, said):
    dated = make_dated(tmp_path, certificates.authority, begin, end)
    address = own_cluster.listen(dated)
    roots = f"sslrootcert={certificates.authority[0]}"
    for mode in ("require", "verify-ca", "verify-full"):
        with pytest.raises(RegistryError, match=said):
            is_encrypted(own_cluster, address, f"sslmode={mode}&{roots}")
    with pytest.raises(RegistryError, match=said):
        is_encrypted(own_cluster, address, f"sslmode=verify-full&sslrootcert={dated[0]}")
    assert is_encrypted(own_cluster, address, "sslmode=require")


def test_a_certificate_without_extensions_is_told(encrypted, own_cluster, certificates, tmp_path):
    address = own_cluster.listen(make_client(tmp_path, certificates.authority, "localhost"))
    with pytest.raises(RegistryError, match=r"server `localhost` is of an old version, which cannot be verified"):
        is_encrypted(own_cluster, address, f"sslmode=verify-full&sslrootcert={certificates.authority[0]}")
    assert is_encrypted(own_cluster, address, "sslmode=require")


@pytest.fixture
def known(encrypted, own_cluster, certificates):
    """Host and port of the server, whose database `known` takes only those with a certificate in their name."""
    if not own_cluster.sql("SELECT 1 FROM pg_database WHERE datname = 'known'"):
        own_cluster.add_database("known")
        rules = Path(own_cluster.sql("SHOW hba_file"))
        rules.write_text(f"hostssl known all all cert\nhostnossl known all all reject\n{rules.read_text()}")
    address = own_cluster.listen(certificates.server, clients=certificates.authority[0])
    url = f"postgresql:///known?host={own_cluster.folder}&port={own_cluster.port}&user=armillary"
    if not own_cluster.sql("SELECT to_regclass('butler_attributes')", "known"):
        _core.Registry.create_on_server(url, _core.DimensionUniverse())
    return address


def test_a_client_is_known_by_its_certificate(known, own_cluster, certificates, tmp_path, monkeypatch):
    certificate, key = make_client(tmp_path, certificates.authority, "armillary")
    roots = f"sslmode=verify-full&sslrootcert={certificates.authority[0]}"
    with pytest.raises(RegistryError, match=r"server `localhost` wants a certificate of this client; `sslcert` names"):
        is_encrypted(own_cluster, known, roots, "known")
    with pytest.raises(RegistryError, match=r"wants a certificate of this client|no encryption"):
        is_encrypted(own_cluster, known, "sslmode=allow", "known")
    assert is_encrypted(own_cluster, known, f"{roots}&sslcert={certificate}&sslkey={key}", "known")
    assert is_encrypted(own_cluster, known, f"sslcert={certificate}&sslkey={key}", "known")
    extensions = tmp_path / "extensions"
    extensions.write_text("extendedKeyUsage=clientAuth\n")
    certificate, key = make_client(tmp_path, certificates.authority, "armillary", "-extfile", extensions)
    assert is_encrypted(own_cluster, known, f"{roots}&sslcert={certificate}&sslkey={key}", "known")
    who = IS_ENCRYPTED.replace("DISTINCT ssl", "DISTINCT client_dn")
    url = f"postgresql://armillary@{known}/known?{roots}&sslcert={certificate}&sslkey={key}"
    with closing(_core.Registry.open_on_server(url, writeable=True)) as registry:
        assert own_cluster.sql(who) == "/CN=armillary"
        registry.register_collection(f"run/{tmp_path.name}", 1)
    monkeypatch.setenv("PGSSLCERT", str(certificate))
    monkeypatch.setenv("PGSSLKEY", str(key))
    assert is_encrypted(own_cluster, known, roots, "known")
    monkeypatch.delenv("PGSSLCERT")
    monkeypatch.delenv("PGSSLKEY")
    usual = tmp_path / ".postgresql"
    usual.mkdir()
    certificate.rename(usual / "postgresql.crt")
    key.rename(usual / "postgresql.key")
    assert is_encrypted(own_cluster, known, roots, "known")


def test_a_client_of_another_name_or_authority_is_refused(known, own_cluster, certificates, tmp_path):
    roots = f"sslmode=verify-full&sslrootcert={certificates.authority[0]}"
    certificate, key = make_client(tmp_path, certificates.authority, "somebody")
    with pytest.raises(RegistryError, match="certificate authentication failed for user"):
        is_encrypted(own_cluster, known, f"{roots}&sslcert={certificate}&sslkey={key}", "known")
    certificate, key = make_client(tmp_path, certificates.stranger, "armillary")
    with pytest.raises(
        RegistryError, match=r"does not take the certificate `.*client\.crt` of this client \(UnknownCA"
    ):
        is_encrypted(own_cluster, known, f"{roots}&sslcert={certificate}&sslkey={key}", "known")


def test_a_key_that_nobody_will_see_may_be_anything(plain, own_cluster, tmp_path):
    """Neither a socket nor a session without encryption shows a certificate."""
    usual = tmp_path / ".postgresql"
    usual.mkdir()
    for name in ("postgresql.crt", "postgresql.key"):
        (usual / name).write_text("nothing of use")
    address = f"localhost:{own_cluster.port}"
    assert not is_encrypted(own_cluster, address, "sslmode=disable")
    socket = f"postgresql:///armillary?host={own_cluster.folder}&port={own_cluster.port}&user=armillary"
    with closing(_core.Registry.open_on_server(socket, writeable=True)) as registry:
        assert registry.query_collections() == []
    with pytest.raises(
        ArgumentError, match=r"`.*postgresql\.crt`, which `sslcert` names, is not a file of certificates"
    ):
        is_encrypted(own_cluster, address)


def test_what_is_wrong_with_the_key_of_a_client_is_told(certificates, tmp_path):
    _, key = make_client(tmp_path, certificates.authority, "armillary")
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    locked.chmod(0o600)
    (tmp_path / "shown.key").write_bytes(key.read_bytes())
    (tmp_path / "shown.key").chmod(0o644)
    (tmp_path / "empty.key").touch(0o600)

    def told(*files):
        options = "&".join(
            f"{name}={tmp_path / file}" for name, file in zip(("sslcert", "sslkey"), files, strict=False)
        )
        with pytest.raises(ArgumentError) as found:
            _core.Registry.open_on_server(f"postgresql://a@localhost:1/d?{options}", writeable=True)
        return str(found.value).replace(f"{tmp_path}/", "")

    assert "the key `locked.key` is encrypted" in told("client.crt", "locked.key")
    assert "`openssl pkey -in locked.key -out plain.key`" in told("client.crt", "locked.key")
    assert "others may read or change the key `shown.key` (its mode is 644)" in told("client.crt", "shown.key")
    assert "`empty.key`, which is to be a key (`sslkey`), has no private key in PEM form" in told(
        "client.crt", "empty.key"
    )
    assert "the key `none.key` of the certificate `client.crt` cannot be read" in told("client.crt", "none.key")
    assert "the key `.postgresql/postgresql.key` of the certificate `client.crt`" in told("client.crt")
    assert "certificate `none.crt`, which `sslcert` names, cannot be read" in told("none.crt", "client.key")
    assert "`client.key`, which `sslcert` names, is not a file of certificates" in told("client.key", "client.key")
    other = tmp_path / "other"
    other.mkdir()
    extensions = tmp_path / "extensions"
    extensions.write_text("extendedKeyUsage=clientAuth\n")
    make_client(other, certificates.authority, "armillary")
    make_client(tmp_path, certificates.authority, "armillary", "-extfile", extensions)
    assert "is not that of the certificate in `client.crt`" in told("client.crt", "other/client.key")
