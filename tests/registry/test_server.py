"""A repository on a server: many clients at once, connections that break, and changes that others make."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from armillary import _core
from armillary.errors import (
    ConflictingDefinitionError,
    DataIdValueError,
    MissingCollectionError,
    RegistryError,
    SchemaAlreadyDefinedError,
)
from databases import DATABASE

STORE = "FileDatastore@<butlerRoot>"
END_SESSIONS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'armillary'"

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def detectors(filled):
    """Makes detectors with many more numbers; gives the registry."""
    rows = [{"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(10, 400)]
    filled.registry.insert_records("detector", rows)
    return filled.registry


def put(registry, detector, run="run/a"):
    """What a `put` does to the database: announce the file, then enter dataset and file and forget the announcement."""
    bias = registry.dataset_type("bias", recent=True)
    data_id = {"instrument": "Cam", "detector": detector}
    data_id = _core.DataCoordinate.standardize(data_id, dimensions=bias.dimensions)
    ref = _core.DatasetRef(bias, data_id, run)
    path = f"{run}/bias_{detector}.yaml"
    intent = registry.begin_write(STORE, [path])
    record = _core.FileRecord(ref.id, path, "f", "StructuredDataDict")
    registry.finish_write(intent, STORE, [ref], [record], register=True)
    return ref


def complete(cluster, namespace):
    """How many datasets have everything that belongs to them, and how many rows there are of each sort."""
    counts = ", ".join(
        f"(SELECT count(*) FROM {namespace}.{table})"
        for table in ("dataset", "dataset_tags_00000001", "dataset_location", "file_datastore_records")
    )
    whole = (
        f"(SELECT count(*) FROM {namespace}.dataset d JOIN {namespace}.dataset_tags_00000001 t ON t.dataset_id = d.id "
        f"JOIN {namespace}.dataset_location l ON l.dataset_id = d.id "
        f"JOIN {namespace}.file_datastore_records f ON f.dataset_id = d.id)"
    )
    return [int(count) for count in cluster.sql(f"SELECT {whole}, {counts}").split("|")]


def test_sixty_four_connections_lose_nothing(detectors, opened, cluster, seed):
    def client(number):
        registry = opened(writeable=True)
        for position in range(5):
            put(registry, 10 + 5 * number + position)
        registry.close()

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(client, range(64)))
    assert complete(cluster, seed["registry"]["namespace"]) == [320] * 5
    assert detectors.announced_files() == []


def test_ended_sessions_are_begun_anew(detectors, cluster, seed):
    """The server ends all sessions again and again: no error, nothing twice, nothing by halves."""
    over = threading.Event()

    def end_sessions():
        while not over.is_set():
            cluster.sql(END_SESSIONS)
            over.wait(0.3)

    ender = threading.Thread(target=end_sessions)
    ender.start()
    done = 0
    try:
        for detector in range(10, 40):
            put(detectors, detector)
            done += 1
            assert len(detectors.query_collections()) == 2
    finally:
        over.set()
        ender.join()
    assert complete(cluster, seed["registry"]["namespace"]) == [done] * 5


def test_a_transaction_whose_session_ended_is_refused_whole(detectors, cluster):
    detectors.begin()
    detectors.register_collection("lost", 1)
    cluster.sql(END_SESSIONS)
    with pytest.raises(RegistryError):
        detectors.register_collection("later", 1)
    with pytest.raises(RegistryError):
        detectors.commit()
    assert not {"lost", "later"} & set(detectors.query_collections())
    detectors.register_collection("works", 1)
    assert "works" in detectors.query_collections()


def test_a_refused_step_leaves_the_transaction_as_it_was(filled):
    registry = filled.registry
    registry.begin()
    registry.register_collection("kept", 1)
    two = [{"instrument": "Cam", "detector": 1}] * 2
    with pytest.raises(ConflictingDefinitionError, match="detector: 1"):
        registry.insert_datasets("bias", "run/a", two)
    registry.insert_datasets("bias", "run/a", two[:1])
    registry.commit()
    assert "kept" in registry.query_collections()
    assert registry.row_counts()["dataset"] == 1


@contextmanager
def said(cluster):
    """Gives a list of what was said to the server in the sessions begun in the block, without what begins a session."""
    found = []
    cluster.sql(f"ALTER DATABASE {DATABASE} SET log_statement = 'all'")
    start = len(read_log(cluster))
    try:
        yield found
    finally:
        cluster.sql(f"ALTER DATABASE {DATABASE} RESET log_statement")
        lines = read_log(cluster)[start:].decode().splitlines()
        messages = [line.partition("LOG:  ")[2] for line in lines if "ALTER DATABASE" not in line]
        found += [message for message in messages if message.startswith(("statement:", "execute"))]


def read_log(cluster):
    return (Path(cluster.folder) / "log").read_bytes()


def test_a_put_asks_for_little(detectors, opened, cluster):
    """Where many write, each waits for what all others say: the announcement, the rows with BEGIN, and COMMIT."""
    with said(cluster) as messages, closing(opened(writeable=True)) as registry:
        for detector in (10, 11, 12):
            put(registry, detector)
    announced = [position for position, message in enumerate(messages) if "INTO armillary_intent" in message]
    assert len(announced) == 3, messages
    third = messages[announced[2] :]
    assert len(third) == 4, third
    assert third[1].startswith("statement: BEGIN")
    assert third[2].partition(": ")[2].startswith("WITH s1 AS (INSERT INTO dataset (")
    assert "collection_summary" not in third[2]
    assert third[3] == "statement: COMMIT"
    assert announced[2] - announced[1] == 4, messages


def test_a_put_takes_records_as_it_knows_them(filled, opened, cluster):
    """What others do meanwhile is no reason to ask; a record that is missing or changed by ourselves is."""
    registry, other = opened(writeable=True), filled.registry
    data_id = _core.DataCoordinate.standardize(instrument="Cam", detector=1, universe=registry.universe)
    registry.expand_data_id(data_id)
    with said(cluster) as messages:
        other.insert_records("detector", [{"instrument": "Cam", "id": 9, "full_name": "S9"}])
        known = registry.expand_data_id(data_id, to_write=True)
    assert known.records["detector"].full_name == "S1"
    assert not [message for message in messages if "pg_current_snapshot" in message]
    new = _core.DataCoordinate.standardize(instrument="Cam", detector=9, universe=registry.universe)
    assert registry.expand_data_id(new, to_write=True).records["detector"].full_name == "S9"
    registry.sync_record("detector", {"instrument": "Cam", "id": 9, "full_name": "new"}, update=True)
    assert registry.expand_data_id(new, to_write=True).records["detector"].full_name == "new"
    gone = _core.DataCoordinate.standardize(instrument="Cam", detector=4000, universe=registry.universe)
    with pytest.raises(DataIdValueError, match="4000"):
        registry.expand_data_id(gone, to_write=True)
    registry.close()


def test_what_others_change_is_read_again_and_nothing_else(filled, opened, cluster):
    other = filled.registry
    with said(cluster) as messages, closing(opened(writeable=False)) as reader:
        data_id = _core.DataCoordinate.standardize(instrument="Cam", detector=1, universe=reader.universe)

        reads = {
            "catalog": "FROM collection ORDER",
            "summaries": "FROM collection_summary_dataset_type",
            "records": '"purpose" FROM "detector"',
        }

        def look():
            start = len(read_log(cluster))
            found = reader.find_dataset("bias", data_id, ["run/a"])
            name = reader.expand_data_ids([data_id])[0].records["detector"].full_name
            collections = reader.query_collections()
            new = read_log(cluster)[start:].decode()
            return found, name, "new" in collections, [kind for kind, text in reads.items() if text in new]

        assert look()[:3] == (None, "S1", False)
        assert look() == (None, "S1", False, [])
        ref = put(other, 1)
        found, name, *rest = look()
        assert (found.id, name, *rest) == (ref.id, "S1", False, ["summaries"])
        put(other, 2)
        assert look()[3] == []
        other.register_collection("new", 1)
        assert look()[2:] == (True, ["catalog"])
        other.sync_record("detector", {"instrument": "Cam", "id": 1, "full_name": "other"}, update=True)
        assert look()[1:] == ("other", True, ["records"])
        other.unstore(STORE, [ref.id], purge=True)
        assert look()[0] is None
    assert messages


def test_many_summaries_are_not_looked_through_for_what_others_do(filled, opened, cluster, seed):
    """The summaries of a search alone are read again, and what they say of others is true at once."""
    namespace = seed["registry"]["namespace"]
    cluster.sql(
        f"INSERT INTO {namespace}.dataset_type (id, name, storage_class, dimensions_key, tag_association_table) "
        f"SELECT i, 'metric' || i, t.storage_class, t.dimensions_key, t.tag_association_table "
        f"FROM generate_series(1000, 3500) AS i, {namespace}.dataset_type AS t WHERE t.name = 'bias'; "
        f"INSERT INTO {namespace}.collection_summary_dataset_type (collection_id, dataset_type_id) "
        f"SELECT c.collection_id, i FROM generate_series(1000, 3500) AS i, {namespace}.collection AS c "
        "WHERE c.name = 'run/b'"
    )
    other = filled.registry
    with said(cluster) as messages, closing(opened(writeable=True)) as own:
        detector = [
            _core.DataCoordinate.standardize(instrument="Cam", detector=number, universe=own.universe)
            for number in range(4)
        ]

        def find(number):
            found = own.find_dataset("bias", detector[number], ["run/a", "run/b"])
            return found and found.id

        assert find(1) is None
        first = put(other, 1, run="run/a")
        assert find(1) == first.id
        second = put(own, 2, run="run/b")
        assert find(2) == second.id
        own.begin()
        third = put(own, 3, run="run/b")
        assert find(3) == third.id
        own.rollback()
        assert find(3) is None
        other.unstore(STORE, [first.id], purge=True)
        other.refresh_summaries()
        assert find(1) is None
        start = len(read_log(cluster))
        assert find(1) is None
        assert b"FROM collection_summary_" not in read_log(cluster)[start:], "nobody did anything meanwhile"
    whole = "SELECT collection_id, dataset_type_id FROM collection_summary_dataset_type"
    assert not [message for message in messages if message.endswith(whole)]


def test_a_query_after_a_query_asks_no_more_than_it_must(filled, opened, cluster):
    """Where nobody did anything, each hears so in its first message, inside or outside a transaction that reads."""
    put(filled.registry, 1)
    with said(cluster), closing(opened(writeable=False)) as reader:
        engine = _core.QueryEngine(reader)
        for _ in range(2):
            assert len(engine.datasets("bias", ["run/a"])) == 1
            reader.dataset_type("bias")
        start = len(read_log(cluster))
        assert len(engine.datasets("bias", ["run/a"])) == 1
        reader.dataset_type("bias")
        assert len(engine.datasets("bias", ["run/a"])) == 1
        reader.dataset_type("bias", recent=True)
        new = read_log(cluster)[start:].decode()
        assert new.count("pg_current_snapshot") == 3, new
        assert "$1 = ''" not in new, "a digest was asked for"
        put(filled.registry, 2)
        assert len(engine.datasets("bias", ["run/a"])) == 2


def test_what_is_in_the_way_of_a_put_is_told(detectors, opened, cluster, seed):
    put(detectors, 10)
    with pytest.raises(ConflictingDefinitionError, match="detector: 10"):
        put(detectors, 10)
    with pytest.raises(DataIdValueError, match="4000"):
        put(detectors, 4000)
    detectors.begin()
    put(detectors, 11)
    with pytest.raises(ConflictingDefinitionError, match="detector: 10"):
        put(detectors, 10)
    put(detectors, 12)
    detectors.commit()
    assert complete(cluster, seed["registry"]["namespace"]) == [3] * 5


def test_a_put_after_others_took_away_what_it_knew(detectors, opened, cluster, seed):
    gone = put(detectors, 10)
    other = opened(writeable=True)
    other.unstore(STORE, [gone.id], purge=True)
    assert other.refresh_summaries() == 1
    put(detectors, 11)  # the summary is gone, and comes back
    assert complete(cluster, seed["registry"]["namespace"]) == [1] * 5
    assert other.collection_summary("run/a")[0] == ["bias"]
    other.remove_collection("run/b")
    with pytest.raises(MissingCollectionError, match="run/b"):
        put(detectors, 12, run="run/b")
    put(detectors, 12)
    assert complete(cluster, seed["registry"]["namespace"]) == [2] * 5


def test_changes_of_others_are_seen(filled, opened):
    reader = opened(writeable=False)
    assert set(reader.query_collections()) == {"run/a", "run/b"}
    filled.registry.register_collection("new", 2)
    assert "new" in reader.query_collections()
    filled.registry.remove_collection("new")
    assert "new" not in reader.query_collections()
    filled.registry.insert_records("detector", [{"instrument": "Cam", "id": 9, "full_name": "S9"}])
    data_id = _core.DataCoordinate.standardize(instrument="Cam", detector=9, universe=reader.universe)
    assert reader.expand_data_ids([data_id])[0].records["detector"].full_name == "S9"


def test_readers_do_not_wait_for_a_writer(filled, opened):
    filled.registry.begin()
    filled.registry.register_collection("open", 1)
    began = time.monotonic()
    assert "open" not in opened(writeable=False).query_collections()
    assert time.monotonic() - began < 30
    filled.registry.rollback()


def test_two_who_certify_do_not_contradict_each_other(filled, opened):
    """No constraint of the database keeps times apart; a lock does."""
    registry = filled.registry
    refs = [
        registry.insert_datasets("bias", run, [{"instrument": "Cam", "detector": 1}])[0] for run in ("run/a", "run/b")
    ]
    registry.register_collection("calib", 4)
    begin = threading.Barrier(2)

    def certify(ref):
        own = opened(writeable=True)
        begin.wait()
        try:
            own.certify("calib", [ref], _core.Timespan(None, None))
        except ConflictingDefinitionError:
            return "refused"
        return "certified"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(certify, refs)) == ["certified", "refused"]


def test_who_holds_a_lock_is_told(filled, cluster, seed):
    """Who waits in vain, here for 300 ms, hears of the session that was in the way."""
    registry = filled.registry
    refs = registry.insert_datasets("bias", "run/a", [{"instrument": "Cam", "detector": 1}])
    registry.register_collection("calib", 4)
    impatient = _core.Registry.open_on_server(
        seed["registry"]["db"] + "&options=-c%20lock_timeout%3D300",
        writeable=True,
        namespace=seed["registry"]["namespace"],
    )
    registry.begin()
    registry.certify("calib", refs, _core.Timespan(None, None))
    holder = (
        r"the database stayed locked while certifying.*, by session \d+ of `armillary` \(program `armillary`, on the "
        r"server itself\), whose transaction has been open for \d+ s and is idle in transaction; try again when"
    )
    with pytest.raises(RegistryError, match=holder):
        impatient.certify("calib", refs, _core.Timespan(None, None))
    registry.rollback()
    impatient.certify("calib", refs, _core.Timespan(None, None))
    impatient.close()


def test_a_schema_is_made_once(opened, seed, universe):
    registry = seed["registry"]
    with pytest.raises(SchemaAlreadyDefinedError, match=r"namespace repo_.*already has tables"):
        _core.Registry.create_on_server(registry["db"], universe, namespace=registry["namespace"])


@contextmanager
def losing_proxy(server, folder, lose):
    """A socket in `folder` before that of the server which, where `lose` says so, forwards but never answers."""
    path = f"{folder}/.s.PGSQL.5432"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def forward(source, target, watch):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                if watch and lose(data):
                    time.sleep(0.2)  # the server has it and acts on it
                    break
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def accept():
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.socket(socket.AF_UNIX)
                upstream.connect(f"{server}/.s.PGSQL.5432")
                for source, target, watch in ((client, upstream, True), (upstream, client, False)):
                    threads.append(threading.Thread(target=forward, args=(source, target, watch)))
                    threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        os.unlink(path)
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("forwarded", [True, False])
def test_whether_an_unanswered_commit_was_made_is_found_out(filled, cluster, seed, tmp_path_factory, forwarded):
    folder = str(tmp_path_factory.mktemp("p"))
    state = {"armed": False, "lost": 0}

    def lose(data):
        if state["armed"] and b"COMMIT" in data:
            state["armed"] = False
            state["lost"] += 1
            return True
        return False

    namespace = seed["registry"]["namespace"]
    url = seed["registry"]["db"].replace(cluster.folder, folder)
    with losing_proxy(cluster.folder, folder, lose):
        registry = _core.Registry.open_on_server(url, writeable=True, namespace=namespace)
        if not forwarded:
            # A trigger at the commit ends the session: the server undoes the transaction.
            cluster.sql(
                f"""CREATE FUNCTION {namespace}.leave() RETURNS trigger AS $$ BEGIN
                IF nextval('{namespace}.once') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                RETURN NULL; END $$ LANGUAGE plpgsql;
                CREATE SEQUENCE {namespace}.once;
                CREATE CONSTRAINT TRIGGER leaving AFTER INSERT ON {namespace}.dataset DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION {namespace}.leave()"""
            )
        else:
            state["armed"] = True
        registry.insert_datasets("bias", "run/a", [{"instrument": "Cam", "detector": 1}])
        registry.close()
    assert state["lost"] == int(forwarded)
    assert cluster.sql(f"SELECT count(*) FROM {namespace}.dataset") == "1"
