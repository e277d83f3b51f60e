"""What is wrong with an installation, and what to do about each: checks that look, and change nothing."""

from outbox.doctor.examine import Patient, examine
from outbox.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "Patient", "examine"]
