"""Searches settings for a higher validation score: `tune` starts a study, `resume` goes on with one."""

from tenfold.tuning.session import Standing
from tenfold.tuning.study import Study, open_study
from tenfold.tuning.tuner import plan, resume, tune

__all__ = ["Standing", "Study", "open_study", "plan", "resume", "tune"]
