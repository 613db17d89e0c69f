"""Places whose database is on a PostgreSQL server, or whose files are in an object store, or both."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import psycopg

from databases import USER, Cluster
from faults.judge import Select, State, find_problems, read_database, read_folder, read_rows
from faults.operations import Place
from remote_servers import S3Server

KINDS = ["sqlite and files", "sqlite and s3", "postgresql and files", "postgresql and s3"]
NAMESPACE = "repository"
_FILES = "lsst.daf.butler.datastores.fileDatastore.FileDatastore"


@dataclass(frozen=True)
class Elsewhere(Place):
    """A place, the URL of its database if a server has it, and the URI of its files if an object store has them."""

    database: str | None = None
    bucket: str | None = None

    @property
    def configuration(self) -> dict[str, Any] | None:
        """What the repository is made from."""
        made: dict[str, Any] = {}
        if self.database is not None:
            made["registry"] = {"db": self.database, "namespace": NAMESPACE}
        if self.bucket is not None:
            made["datastore"] = {"cls": _FILES, "name": "bucket", "root": self.bucket, "checksum": True}
        return made or None


@dataclass
class Servers:
    """The servers of all places: what they hold is copied, read and removed by their own clients."""

    cluster: Cluster
    s3: S3Server

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._bucket = self.s3.new_bucket().removeprefix("s3://")
        self._client = boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )

    def new_place(self, kind: str, folder: Path) -> Elsewhere:
        """An empty place of a kind."""
        folder.mkdir()
        database, _, files = kind.partition(" and ")
        return Elsewhere(
            folder,
            self._new_database() if database == "postgresql" else None,
            self._new_folder() if files == "s3" else None,
        )

    def copy(self, place: Elsewhere, folder: Path) -> Elsewhere:
        """The same in another folder, another database and under other keys."""
        shutil.copytree(place.folder, folder, symlinks=True)
        settings = Path(folder, "repo", "butler.yaml")
        text = settings.read_text()
        copied = replace(place, folder=folder)
        if place.database is not None:
            self._wait_for_sessions(place)
            copied = replace(copied, database=self._new_database(f"TEMPLATE {_name(place.database)}"))
            text = text.replace(str(place.database), str(copied.database))
        if place.bucket is not None:
            copied = replace(copied, bucket=self._new_folder())
            text = text.replace(place.bucket, str(copied.bucket))
            for key, content in self._objects(place).items():
                self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix(copied)}{key}", Body=content)
        settings.write_text(text)
        return copied

    def remove(self, place: Elsewhere) -> None:
        """Remove everything."""
        shutil.rmtree(place.folder)
        if place.database is not None:
            self.cluster.sql(f"DROP DATABASE {_name(place.database)} WITH (FORCE)", "postgres")
        if place.bucket is not None:
            for key in self._objects(place):
                self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix(place)}{key}")

    def look(self, place: Elsewhere) -> State:
        """Read everything, when the servers have done what a dead client asked for."""
        state = State()
        if place.database is None:
            read_database(place.repo, state)
        else:
            self._wait_for_sessions(place)
            with self._select(place) as select:
                tables = f"SELECT tablename FROM pg_tables WHERE schemaname = '{NAMESPACE}'"
                read_rows(select, state, tables=tables, timespan="lower(timespan), upper(timespan)")
                state.announced = [path for (path,) in select("SELECT path FROM armillary_intent")]
        read_folder(place.repo, state)
        if place.bucket is not None:
            _wait_for_requests()
            state.files |= self._objects(place)
        find_problems(state)
        return state

    def _new_database(self, options: str = "") -> str:
        name = f"place_{next(self._numbers)}"
        self.cluster.sql(f"CREATE DATABASE {name} {options}", "postgres")
        if not options:
            self.cluster.sql("CREATE EXTENSION btree_gist", name)
        return f"postgresql://{USER}@/{name}?host={self.cluster.folder}"

    def _new_folder(self) -> str:
        return f"s3://{self._bucket}/place-{next(self._numbers)}/files"

    def _prefix(self, place: Elsewhere) -> str:
        return f"{str(place.bucket).removeprefix(f's3://{self._bucket}/')}/"

    def _objects(self, place: Elsewhere) -> dict[str, bytes]:
        prefix = self._prefix(place)
        listed = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): self._client.get_object(Bucket=self._bucket, Key=one["Key"])["Body"].read()
            for one in listed
        }

    @contextmanager
    def _select(self, place: Elsewhere) -> Iterator[Select]:
        address = {"host": self.cluster.folder, "user": USER, "dbname": _name(str(place.database))}
        with psycopg.connect(**address, options=f"-c search_path={NAMESPACE},public") as connection:
            yield lambda sql: connection.execute(sql).fetchall()

    def sql(self, place: Elsewhere, statement: str) -> str:
        """Run a statement in a place's database."""
        return self.cluster.sql(statement, _name(str(place.database)))

    def is_in_use(self, place: Elsewhere) -> bool:
        """Whether the server has sessions in a place's database."""
        asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{_name(str(place.database))}'"
        return self.cluster.sql(asked, "postgres") != "0"

    def wait_for_commit(self, place: Elsewhere) -> None:
        """Wait until the server commits something in a place's database."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
        _wait_until(lambda: self.sql(place, asked) != "0")

    def _wait_for_sessions(self, place: Elsewhere) -> None:
        _wait_until(lambda: not self.is_in_use(place))


def _name(database: str) -> str:
    return database.partition("@/")[2].partition("?")[0]


def _wait_for_requests() -> None:
    """Wait until the server in this process has answered everybody."""
    _wait_until(lambda: not any("process_request_thread" in thread.name for thread in threading.enumerate()))


def _wait_until(done: Any) -> None:
    for _ in range(500):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError("a server does not come to rest")
