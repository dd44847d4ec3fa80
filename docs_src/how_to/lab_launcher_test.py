"""The tests that every launcher has to pass."""

from lab.launcher import LabLauncher
from modeldir.testing import LauncherContract


class TestLab(LauncherContract):
    def make(self, search):
        return LabLauncher(search, {"hosts": ["red", "blue"]})
