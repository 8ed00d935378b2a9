"""What is wrong with a data set: doctor(data) -> Diagnosis, which `write` keeps in a folder."""

from tenfold.doctor.diagnosis import doctor
from tenfold.doctor.findings import Diagnosis, Finding
from tenfold.doctor.sheet import write

__all__ = ["Diagnosis", "Finding", "doctor", "write"]
