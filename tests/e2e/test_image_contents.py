"""What a machine's file system holds besides the interpreter: accounts, and files behind links."""
import os

import pytest

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no access to /dev/kvm")

OUTSIDE_LINKS = """
result = []
for base in ('/usr/lib/python3', '/usr/lib/python3.11', '/etc/fonts'):
    for folder, _, files in os.walk(base):
        paths = [os.path.join(folder, name) for name in files]
        result += [p for p in paths if os.path.islink(p) and not os.path.exists(p)]
"""


@pytest.fixture
def run(pysandbox, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"imports":{"mode":"off"}}')

    def run(code):
        outcome = pysandbox.run("import os\n" + code, "--engine", "microvm", "--policy", policy, timeout=300)
        assert outcome["status"] == "ok", outcome
        return outcome["result"]

    return run


def test_the_guest_and_root_have_accounts(run):
    assert run("import pwd, grp\nme = pwd.getpwuid(os.getuid())\nresult = [me.pw_name, me.pw_dir, "
               "grp.getgrgid(os.getgid()).gr_name, pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name]"
               ) == ["guest", "/sandbox/workspace", "guest", "root", "root"]
    assert run("import getpass\nresult = [getpass.getuser(), os.path.expanduser('~'), os.path.expanduser('~root')]"
               ) == ["guest", "/sandbox/workspace", "/"]
    assert run("del os.environ['HOME']\nresult = os.path.expanduser('~/x')") == "/sandbox/workspace/x"


def test_parts_that_packages_keep_elsewhere_are_there(run):
    for path in ("/usr/lib/python3.11/sitecustomize.py", "/usr/include/python3.11/pyconfig.h"):
        if os.path.exists(path):
            assert run(f"result = open({path!r}).read()") == open(path).read()
    assert run("import sysconfig\nresult = len(sysconfig.get_config_vars()) > 100")


def test_links_lead_somewhere_as_outside(run):
    """But for links through other links to directories, of which this host has one or two."""
    broken = [path for path in run(OUTSIDE_LINKS) if os.path.exists(path)]
    assert len(broken) <= 2, broken
