"""The whole demo: a repository, raw frames, calibrations, the science pipeline, pictures and a summary.

Each step is the command that a user would type, run in this process. Steps that are done are skipped, so that a demo
that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SKY_MAP = "demo"
OUTPUT = "demo"
CALIBRATIONS = "Nickel/calib"
INPUTS = "Nickel/defaults"
INSTRUMENT = "armillary.instrument.nickel.Nickel"
SIMULATED = "simulated"
PIPELINE = Path(__file__).with_name("pipeline.yaml")
PIXEL_SCALE = 0.37


class DemoError(Exception):
    """The demo cannot go on, and the message says what to do."""


def _quoted(word: str) -> str:
    """A word as one types it in a shell; double quotes read better around the quotes of an expression.

    >>> print(_quoted("instrument='Nickel'"), _quoted("plain"))
    "instrument='Nickel'" plain
    """
    plain = "'" in word and not set(word) & set('"$`\\!')
    return f'"{word}"' if plain else shlex.quote(word)


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass
class Demo:
    """One demo in one directory.

    Parameters
    ----------
    directory
        Where everything goes; made if needed. A directory with a demo of the same frames is gone on with.
    frames
        Directory of raw Nickel frames, read where they are; None simulates a small survey.
    jobs
        Processes that run tasks.
    tell
        Called with each line for the user.

    Examples
    --------
    >>> Demo(Path("somewhere")).repository
    PosixPath('somewhere/repo')
    """

    directory: Path
    frames: Path | None = None
    jobs: int = 1
    tell: Callable[[str], None] = _silent
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        """The data repository."""
        return self.directory / "repo"

    @property
    def pictures(self) -> Path:
        """Where pictures go."""
        return self.directory / "pictures"

    def run(self) -> None:
        """Run every step that is not done yet."""
        self._claim_directory()
        self._step("frames", self._find_frames)
        self._step("repository", self._make_repository)
        self._step("ingest", self._ingest)
        self._step("sky map", self._make_sky_map)
        self._step("calibrations", self._make_calibrations)
        self._step("science", self._run_science)

    def command(self, program: str, *arguments: str | Path, tolerated: int = 0) -> None:
        """Say and run one command of `butler` or `pipetask`; another exit code than 0 and `tolerated` is an error."""
        from importlib import import_module

        words = [str(argument) for argument in arguments]
        self.tell(" ".join(["$", program, *map(_quoted, words)]))
        code = import_module(f"armillary.cli.{program}").main(words)
        if code not in (0, tolerated):
            raise DemoError(f"`{program} {words[0]}` ended with exit code {code}; its messages above say why")

    def open(self, **options: Any) -> Any:
        """Open the repository."""
        from armillary.butler import Butler

        return Butler(str(self.repository), **options)

    def _step(self, name: str, action: Callable[[], None]) -> None:
        begin = time.perf_counter()
        action()
        self.seconds[name] = time.perf_counter() - begin

    def _claim_directory(self) -> None:
        """Two demos of different frames must not mix in one repository."""
        marker = self.directory / "demo.json"
        source = SIMULATED if self.frames is None else str(self.frames.absolute())
        if marker.exists():
            known = json.loads(marker.read_text()).get("frames")
            if known != source:
                raise DemoError(
                    f"`{self.directory}` holds a demo of other frames (`{known}`); give another directory, or remove it"
                )
        elif self.repository.exists():
            raise DemoError(f"`{self.repository}` exists and is no demo; give another directory")
        if self.frames is not None and not self.frames.is_dir():
            raise DemoError(f"there is no directory `{self.frames}` with frames")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            marker.write_text(json.dumps({"frames": source}) + "\n")
        except OSError as error:
            raise DemoError(f"cannot write to `{self.directory}`: {error.strerror}") from error

    def _find_frames(self) -> None:
        from armillary.demo.simulate import write_survey

        if self.frames is not None:
            self.raw = self.frames
            return
        self.raw = self.directory / "raw"
        done = self.raw / "complete"
        if not done.exists():
            files = write_survey(self.raw)
            done.touch()
            self.tell(f"simulated {len(files)} raw frames in {self.raw}")

    def _make_repository(self) -> None:
        if not (self.repository / "butler.yaml").exists():
            self.command("butler", "create", self.repository)
        self.command("butler", "register-instrument", self.repository, INSTRUMENT)

    def _ingest(self) -> None:
        # 1: some frames could not be used. They were named; the demo goes on with the others.
        ingest: list[str | Path] = ["ingest-raws", self.repository, self.raw, "-t", "direct", "-j", str(self.jobs)]
        self.command("butler", *ingest, tolerated=1)
        self.command("butler", "define-visits", self.repository, "Nickel", tolerated=1)
        with self.open() as butler:
            if not list(butler.registry.queryDimensionRecords("visit", instrument="Nickel")):
                raise DemoError(f"`{self.raw}` has no science frames of the Nickel camera")

    def _make_sky_map(self) -> None:
        shape = ["--kind", "around-visits", "--pixel-scale", str(PIXEL_SCALE)]
        self.command("butler", "register-skymap", self.repository, SKY_MAP, *shape)

    def _has_collection(self, name: str) -> bool:
        with self.open() as butler:
            return name in set(butler.collections.query("*", include_chains=True))

    def _make_calibrations(self) -> None:
        """Bias and flat of each night that has their frames, certified for that night."""
        for night, validity in self._nights():
            output = f"{CALIBRATIONS}/{night}"
            where = f"instrument='Nickel' AND day_obs={night} AND exposure.observation_type IN ('bias', 'flat')"
            self._pipetask("calibs", ["Nickel/raw/all"], output, where)
            for dataset_type in self._uncertified(output, ("bias", "flat")):
                dates = ["--begin-date", validity[0], "--end-date", validity[1]]
                self.command(
                    "butler", "certify-calibrations", self.repository, output, CALIBRATIONS, dataset_type, *dates
                )

    def _nights(self) -> list[tuple[int, tuple[str, str]]]:
        """Each night with bias and flat frames, and the ISO times (TAI) between which it lies."""
        with self.open() as butler:
            exposures = butler.registry.queryDimensionRecords("exposure", instrument="Nickel")
            kinds: dict[int, set[str]] = {}
            for exposure in exposures:
                kinds.setdefault(exposure.day_obs, set()).add(exposure.observation_type)
            nights = butler.registry.queryDimensionRecords("day_obs", instrument="Nickel")
            spans = {night.id: night.timespan for night in nights}
        usable = sorted(night for night, seen in kinds.items() if {"bias", "flat"} <= seen)
        if not usable:
            raise DemoError("no night has both bias and flat frames, so that nothing can be calibrated")
        return [(night, (spans[night].begin.tai.isot, spans[night].end.tai.isot)) for night in usable]

    def _uncertified(self, output: str, dataset_types: Sequence[str]) -> list[str]:
        """The dataset types of which a run's datasets are not yet certified."""
        missing = []
        with self.open() as butler:
            known = set(butler.collections.query("*", include_chains=True))
            for name in dataset_types:
                made = {ref.id for ref in butler.registry.queryDatasets(name, collections=[output])}
                certified = set()
                if CALIBRATIONS in known:
                    associations = butler.registry.queryDatasetAssociations(name, collections=[CALIBRATIONS])
                    certified = {association.ref.id for association in associations}
                if made - certified:
                    missing.append(name)
        return missing

    def _run_science(self) -> None:
        from armillary.instrument.sky_map import SKY_MAP_RUN

        self.command("butler", "collection-chain", self.repository, INPUTS, "Nickel/raw/all", CALIBRATIONS, SKY_MAP_RUN)
        self._pipetask("science", [INPUTS], OUTPUT, f"instrument='Nickel' AND skymap='{SKY_MAP}'")

    def _pipetask(self, subset: str, inputs: Sequence[str], output: str, where: str) -> None:
        """Run a subset of the pipeline; an output that is there is gone on with."""
        options = ["-i", ",".join(inputs)]
        if self._has_collection(output):
            options = ["--extend-run", "--skip-existing", "--clobber-outputs"]
        self.command(
            "pipetask",
            "run",
            "-b",
            self.repository,
            "-p",
            f"{PIPELINE}#{subset}",
            *options,
            "-o",
            output,
            "-d",
            where,
            "-j",
            str(self.jobs),
            "--register-dataset-types",
        )
