"""The one exception tree: every error says what, where and how to mend."""

from __future__ import annotations


class BdkError(Exception):
    """A mistake that a person can mend, told in three parts.

    Args:
        what: what is wrong, one sentence.
        where: file, option, component or step in which it was found; may be empty.
        mend: what to do about it; may be empty.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(what)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.mend)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in {self.where}")
        if self.mend:
            lines.append(self.mend)
        return "\n".join(lines)


def _rebuild(kind: type[BdkError], what: str, where: str, mend: str) -> BdkError:
    return kind(what, where=where, mend=mend)


class SpecError(BdkError):
    """A spec or a command-line option that cannot be understood."""


class UnknownNameError(SpecError):
    """A name that nothing installed offers."""


class PlanError(BdkError):
    """Parts that are each legal but do not fit together."""


class SpaceMismatchError(PlanError):
    """Two parts that mean different spaces by the same guide."""


class PluginError(BdkError):
    """A plugin package that fails to import, to register or to keep its contract."""


class MissingExtraError(BdkError):
    """An optional package that is needed and not installed."""


class DataError(BdkError):
    """Data that is missing, damaged or contradicts itself."""


class LeakageError(DataError):
    """Test data where only training data may be."""


class WeightsMissingError(BdkError):
    """Pretrained weights that are not on this machine."""


class ArtifactError(BdkError):
    """A store that cannot be read or written."""


class ComponentError(BdkError):
    """A component given, or returning, something outside its contract."""


class NotFittedError(ComponentError):
    """A component used before it was fitted."""


class RetrieverUnavailableError(ComponentError):
    """A gallery or a retrieval service that cannot be reached."""


class StepFailedError(BdkError):
    """A step of a run that stopped with an error of its own."""
