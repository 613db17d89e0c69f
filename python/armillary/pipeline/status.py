"""How an attempt to run a quantum can end, and the exceptions by which a task says so."""

from __future__ import annotations

import abc
import enum
import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from armillary.pipeline.metadata import GetSetDictMetadata, NestedMetadataDict

__all__ = [
    "AlgorithmError",
    "AnnotatedPartialOutputsError",
    "ExceptionInfo",
    "InvalidQuantumError",
    "NoWorkFound",
    "QuantumAttemptStatus",
    "QuantumSuccessCaveats",
    "RepeatableQuantumError",
    "UnprocessableDataError",
    "UpstreamFailureNoWorkFound",
]

_CAVEAT_LETTERS = {
    "ANY_OUTPUTS_MISSING": ("+", "some predicted outputs were not written"),
    "ALL_OUTPUTS_MISSING": ("*", "no predicted output was written, but for log and metadata"),
    "NO_WORK": ("N", "the task found nothing to do"),
    "ADJUST_QUANTUM_RAISED": ("A", "`adjustQuantum` found nothing to do; a new graph would leave this quantum out"),
    "UPSTREAM_FAILURE_NO_WORK": ("U", "an input was incomplete because something failed upstream"),
    "UNPROCESSABLE_DATA": ("D", "the data are too bad to be processed"),
    "PARTIAL_OUTPUTS_ERROR": ("P", "the task failed after writing a part of its outputs, and this was accepted"),
}


class QuantumSuccessCaveats(enum.Flag):
    """What a quantum that counts as successful did not do.

    Examples
    --------
    >>> from armillary.pipeline import QuantumSuccessCaveats
    >>> caveats = QuantumSuccessCaveats(7)
    >>> QuantumSuccessCaveats.NO_WORK in caveats
    True
    >>> caveats.concise()
    '*N'

    """

    NO_CAVEATS = 0
    ANY_OUTPUTS_MISSING = 1
    ALL_OUTPUTS_MISSING = 2
    NO_WORK = 4
    ADJUST_QUANTUM_RAISED = 8
    UPSTREAM_FAILURE_NO_WORK = 16
    UNPROCESSABLE_DATA = 32
    PARTIAL_OUTPUTS_ERROR = 64

    @classmethod
    def from_adjust_quantum_no_work(cls) -> QuantumSuccessCaveats:
        """Return the caveats of a quantum for which `adjustQuantum` found no work.

        >>> QuantumSuccessCaveats.from_adjust_quantum_no_work().value
        15
        """
        return cls.NO_WORK | cls.ADJUST_QUANTUM_RAISED | cls.ANY_OUTPUTS_MISSING | cls.ALL_OUTPUTS_MISSING

    def concise(self) -> str:
        """Return `*` or `+` for missing outputs, then the letter of the most telling cause.

        >>> QuantumSuccessCaveats.from_adjust_quantum_no_work().concise()
        '*A'
        """
        missing = QuantumSuccessCaveats.ALL_OUTPUTS_MISSING
        letters = ""
        if missing in self:
            letters = "*"
        elif QuantumSuccessCaveats.ANY_OUTPUTS_MISSING in self:
            letters = "+"
        cause = next((flag for flag in _CAUSES if flag in self), None)
        return letters if cause is None else letters + _CAVEAT_LETTERS[cause.name or ""][0]

    @staticmethod
    def legend() -> dict[str, str]:
        """Return what each letter of `concise` means.

        >>> QuantumSuccessCaveats.legend()["N"]
        'the task found nothing to do'
        """
        return dict(_CAVEAT_LETTERS.values())


# Most telling first: the form in letters names one cause.
_CAUSES = (
    QuantumSuccessCaveats.ADJUST_QUANTUM_RAISED,
    QuantumSuccessCaveats.UNPROCESSABLE_DATA,
    QuantumSuccessCaveats.UPSTREAM_FAILURE_NO_WORK,
    QuantumSuccessCaveats.PARTIAL_OUTPUTS_ERROR,
    QuantumSuccessCaveats.NO_WORK,
)


class QuantumAttemptStatus(enum.Enum):
    """How an attempt to run a quantum ended.

    Examples
    --------
    >>> from armillary.pipeline import QuantumAttemptStatus
    >>> QuantumAttemptStatus(-1).title
    'Failed'
    >>> QuantumAttemptStatus.FAILED.has_metadata
    False

    """

    ABORTED = -4
    UNKNOWN = -3
    ABORTED_SUCCESS = -2
    FAILED = -1
    BLOCKED = 0
    SUCCESSFUL = 1

    @property
    def has_metadata(self) -> bool:
        """Whether the attempt left task metadata."""
        return self in (QuantumAttemptStatus.SUCCESSFUL, QuantumAttemptStatus.ABORTED_SUCCESS)

    @property
    def has_log(self) -> bool:
        """Whether the attempt left a log."""
        return self in (QuantumAttemptStatus.SUCCESSFUL, QuantumAttemptStatus.FAILED)

    @property
    def title(self) -> str:
        """The state in words."""
        return self.name.capitalize().replace("_", " ")

    @property
    def is_rare(self) -> bool:
        """Whether the state says that something outside the task went wrong."""
        return self.value < QuantumAttemptStatus.FAILED.value


@dataclass
class ExceptionInfo:
    """An exception, in a form that can be stored.

    Examples
    --------
    >>> from armillary.pipeline import ExceptionInfo
    >>> try:
    ...     1 / 0
    ... except ZeroDivisionError as error:
    ...     ExceptionInfo.from_exception(error).type_name
    'ZeroDivisionError'

    """

    type_name: str
    message: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_exception(cls, error: BaseException) -> ExceptionInfo:
        """Describe an exception; an `AlgorithmError` brings its metadata along."""
        metadata = dict(error.metadata or {}) if isinstance(error, AlgorithmError) else {}
        return cls(qualified_name(type(error)), str(error), metadata)

    def model_dump(self) -> dict[str, Any]:
        """Return the fields as a dictionary, the form that files hold."""
        return {"type_name": self.type_name, "message": self.message, "metadata": self.metadata}


def qualified_name(kind: type) -> str:
    """Return `module.Class`; builtins go without their module.

    >>> qualified_name(ValueError)
    'ValueError'
    """
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class NoWorkFound(BaseException):
    """There is nothing to do for this quantum, which is no failure.

    Raised by `adjustQuantum`, it takes the quantum out of the graph; raised while running, the quantum counts as
    successful without outputs. It is no `Exception`, so that a task's own `except Exception` lets it through.

    Examples
    --------
    >>> from armillary.pipeline import NoWorkFound
    >>> NoWorkFound.FLAGS.name
    'NO_WORK'

    """

    FLAGS: ClassVar[QuantumSuccessCaveats] = QuantumSuccessCaveats.NO_WORK


class UpstreamFailureNoWorkFound(NoWorkFound):
    """There is nothing to do because something upstream failed in part.

    Examples
    --------
    >>> from armillary.pipeline import UpstreamFailureNoWorkFound
    >>> UpstreamFailureNoWorkFound.FLAGS.value
    20

    """

    FLAGS: ClassVar[QuantumSuccessCaveats] = (
        QuantumSuccessCaveats.NO_WORK | QuantumSuccessCaveats.UPSTREAM_FAILURE_NO_WORK
    )


class UnprocessableDataError(NoWorkFound):
    """The data are too bad to be processed, and no later version of the algorithm is expected to change that.

    Examples
    --------
    >>> from armillary.pipeline import UnprocessableDataError
    >>> UnprocessableDataError.FLAGS.value
    36

    """

    FLAGS: ClassVar[QuantumSuccessCaveats] = QuantumSuccessCaveats.NO_WORK | QuantumSuccessCaveats.UNPROCESSABLE_DATA


class RepeatableQuantumError(RuntimeError):
    """The task failed and would fail again with the same inputs and configuration.

    Examples
    --------
    >>> from armillary.pipeline import RepeatableQuantumError
    >>> RepeatableQuantumError.EXIT_CODE
    20

    """

    EXIT_CODE: ClassVar[int] = 20


class AlgorithmError(RepeatableQuantumError, abc.ABC):
    """An expected failure of an algorithm, described by numbers as well as by words.

    Subclasses define `metadata`.

    Examples
    --------
    >>> from armillary.pipeline import AlgorithmError
    >>> class TooFewStars(AlgorithmError):
    ...     @property
    ...     def metadata(self):
    ...         return {"found": 2}
    >>> TooFewStars("2 stars are too few").metadata
    {'found': 2}

    """

    def __new__(cls, *args: Any, **kwargs: Any) -> AlgorithmError:  # noqa: D102
        # `Exception.__new__` never checks for abstract methods, so this does.
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        if missing:
            raise TypeError(f"`{cls.__name__}` cannot be raised before it defines `{'`, `'.join(missing)}`")
        return super().__new__(cls, *args, **kwargs)

    @property
    @abc.abstractmethod
    def metadata(self) -> NestedMetadataDict | None:
        """Facts about the failure: strings, numbers, booleans, nested by name."""
        raise NotImplementedError


class InvalidQuantumError(Exception):
    """The quantum itself is wrong; no other quantum should be tried.

    Examples
    --------
    >>> from armillary.pipeline import InvalidQuantumError
    >>> InvalidQuantumError.EXIT_CODE
    21

    """

    EXIT_CODE: ClassVar[int] = 21


class _HoldsMetadata(Protocol):
    @property
    def metadata(self) -> GetSetDictMetadata | None: ...


class AnnotatedPartialOutputsError(RepeatableQuantumError):
    """A task failed after it wrote outputs that say so themselves.

    Examples
    --------
    Inside a task's `run`::

        except MeasurementError as error:
            raise AnnotatedPartialOutputsError.annotate(error, self, table, log=self.log) from error

    """

    FLAGS: ClassVar[QuantumSuccessCaveats] = QuantumSuccessCaveats.PARTIAL_OUTPUTS_ERROR

    @classmethod
    def annotate(
        cls, error: Exception, *args: _HoldsMetadata | None, log: logging.Logger | logging.LoggerAdapter[Any]
    ) -> AnnotatedPartialOutputsError:
        """Note the failure in the metadata of the given objects and return the exception to raise `from` it.

        Parameters
        ----------
        error
            What went wrong.
        *args
            Objects with a `metadata` attribute: the task itself, tables, images. None is passed over.
        log
            Where the failure is reported.

        Examples
        --------
        >>> import logging
        >>> from armillary.pipeline import AnnotatedPartialOutputsError, Struct, TaskMetadata
        >>> table = Struct(metadata=TaskMetadata())
        >>> partial = AnnotatedPartialOutputsError.annotate(ValueError("no stars"), table, log=logging.getLogger())
        >>> table.metadata["failure.message"]
        'no stars'

        """
        failure: dict[str, Any] = {"message": str(error), "type": qualified_name(type(error))}
        if isinstance(error, AlgorithmError) and error.metadata is not None:
            failure["metadata"] = error.metadata
        for holder in args:
            if holder is not None and holder.metadata is not None:
                holder.metadata.set_dict("failure", failure)
        log.debug("outputs are partial: %s", error, exc_info=error)
        return cls("the task failed and wrote a part of its outputs; the exception this one comes from says why")
