"""Keys come from the environment or from a file of the user's own, which nobody else can read."""

import base64
import os
import stat
from pathlib import Path

import pytest

from gflow.checkpoint import Keys
from gflow.checkpoint import keys as module
from gflow.errors import StoreError

ONE, TWO = bytes(range(32)), bytes(range(224, 256))


def key_file(path: Path, text: str = ONE.hex(), mode: int = 0o600) -> Path:
    """Write a key file."""
    path.write_text(text, encoding="ascii")
    path.chmod(mode)
    return path


def permissions(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    """Return what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        ONE.hex(),
        ONE.hex().upper(),
        f" {ONE.hex()}\n",
        base64.b64encode(ONE).decode(),
        base64.urlsafe_b64encode(ONE).decode().rstrip("="),
    ],
)
def test_formats(text: str, tmp_path: Path) -> None:
    """A key is written as hexadecimal digits or in either alphabet of base64."""
    assert Keys.load({"GFLOW_KEY": text}, tmp_path).ring == (ONE,)


def test_several_keys(tmp_path: Path) -> None:
    """Several keys are separated by commas, and keep their order."""
    both = f"{TWO.hex()}, {base64.urlsafe_b64encode(ONE).decode()}"
    assert Keys.load({"GFLOW_KEY": both}, tmp_path).ring == (TWO, ONE)


@pytest.mark.parametrize("text", [ONE.hex()[:-2], "x" * 64, f"{ONE.hex()},secret", ",", "é" * 43, "abc123"])
def test_no_key(text: str, tmp_path: Path) -> None:
    """What is no key is refused without being shown, and the remedy makes one."""
    with pytest.raises(StoreError, match="GFLOW_KEY holds no key") as caught:
        Keys.load({"GFLOW_KEY": text}, tmp_path)
    assert "token_hex(32)" in caught.value.remedy
    assert text == "," or text not in str(caught.value)


def test_key_is_not_shown() -> None:
    """The repr of keys does not tell them."""
    assert repr(Keys((ONE,))) == "Keys()"


@pytest.mark.parametrize("ring", [(), (b"short",), (ONE, b"")])
def test_size_of_keys(ring: tuple[bytes, ...]) -> None:
    """There is at least one key, and each has 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        Keys(ring)


def test_named_file(tmp_path: Path) -> None:
    """GFLOW_KEY_FILE names a file that holds keys, one on each line."""
    path = key_file(tmp_path / "keys", f"{ONE.hex()}\n{TWO.hex()}\n")
    assert Keys.load({"GFLOW_KEY_FILE": str(path)}, tmp_path).ring == (ONE, TWO)


def test_order(tmp_path: Path) -> None:
    """GFLOW_KEY goes before GFLOW_KEY_FILE, and an empty variable is one that is not set."""
    path = str(key_file(tmp_path / "keys", TWO.hex()))
    assert Keys.load({"GFLOW_KEY": ONE.hex(), "GFLOW_KEY_FILE": path}, tmp_path).ring == (ONE,)
    assert Keys.load({"GFLOW_KEY": "", "GFLOW_KEY_FILE": path}, tmp_path).ring == (TWO,)


def test_named_file_is_missing(tmp_path: Path) -> None:
    """A named file is never made."""
    path = tmp_path / "keys"
    with pytest.raises(StoreError, match="No such file"):
        Keys.load({"GFLOW_KEY_FILE": str(path)}, tmp_path)
    assert not path.exists()


def test_default_key(tmp_path: Path) -> None:
    """Without a variable a key is made once, for this user alone, outside the project."""
    made = Keys.load({}, tmp_path)
    path = tmp_path / ".config" / "gflow" / "keys" / "default.key"
    assert permissions(path) == 0o600
    assert [permissions(folder) for folder in path.parents[:2]] == [0o700, 0o700]
    assert names(path.parent) == ["default.key"]
    assert Keys.load({}, tmp_path) == made
    assert Keys.load({}, tmp_path / "elsewhere") != made


def test_configuration_folder(tmp_path: Path) -> None:
    """XDG_CONFIG_HOME moves the default key, unless it is relative."""
    config = tmp_path / "config"
    made = Keys.load({"XDG_CONFIG_HOME": str(config)}, tmp_path)
    assert (config / "gflow" / "keys" / "default.key").is_file()
    assert Keys.load({"XDG_CONFIG_HOME": "config"}, tmp_path) != made
    assert (tmp_path / ".config").is_dir()


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """A command that only reads makes no key."""
    with pytest.raises(StoreError, match="no key can be read"):
        Keys.load({}, tmp_path, create=False)
    assert names(tmp_path) == []


def test_two_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes that make the key at the same moment, both use the one that was first."""
    write = module._write
    first: list[Keys] = []

    def overtaken(path: Path, text: str) -> None:
        write(path, text)
        monkeypatch.undo()
        first.append(Keys.load({}, tmp_path))

    monkeypatch.setattr(module, "_write", overtaken)
    assert Keys.load({}, tmp_path) == first[0]
    assert names(tmp_path / ".config" / "gflow" / "keys") == ["default.key"]


def test_a_key_has_its_name_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it writes the key leaves none, and the next one makes it."""

    def dies(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        Keys.load({}, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / ".config" / "gflow" / "keys" / "default.key").exists()
    Keys.load({}, tmp_path)


def test_home_cannot_be_written(tmp_path: Path) -> None:
    """Where no key can be made, the error says how to give one."""
    (tmp_path / ".config").write_text("a file")
    with pytest.raises(StoreError, match="cannot be made") as caught:
        Keys.load({}, tmp_path)
    assert "GFLOW_KEY" in caught.value.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601, 0o777])
def test_permissions(mode: int, tmp_path: Path) -> None:
    """A key file that others have any access to is refused, and the remedy is a command."""
    path = key_file(tmp_path / "key", mode=mode)
    with pytest.raises(StoreError, match=f"others have access to it .mode {mode:o}") as caught:
        Keys.load({"GFLOW_KEY_FILE": str(path)}, tmp_path)
    assert caught.value.remedy == f"chmod 600 {path}"


def test_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key file of another user is refused."""
    path = key_file(tmp_path / "key")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(StoreError, match=f"it belongs to user {user}"):
        Keys.load({"GFLOW_KEY_FILE": str(path)}, tmp_path)


def test_symbolic_link(tmp_path: Path) -> None:
    """A key file that is a symbolic link is refused, also where it leads nowhere."""
    key_file(tmp_path / "key")
    for target in ("key", "nowhere"):
        link = tmp_path / f"to-{target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(StoreError, match="it is a symbolic link"):
            Keys.load({"GFLOW_KEY_FILE": str(link)}, tmp_path)


def test_default_key_is_a_dangling_link(tmp_path: Path) -> None:
    """A link in the place of the default key is refused, and nothing is made where it points."""
    folder = tmp_path / ".config" / "gflow" / "keys"
    folder.mkdir(parents=True)
    (folder / "default.key").symlink_to(tmp_path / "project")
    with pytest.raises(StoreError, match="it is a symbolic link"):
        Keys.load({}, tmp_path)
    assert not (tmp_path / "project").exists()


def test_not_a_file(tmp_path: Path) -> None:
    """A named pipe in the place of a key is refused, not waited for."""
    path = tmp_path / "key"
    os.mkfifo(path, 0o600)
    with pytest.raises(StoreError, match="it is not a file"):
        Keys.load({"GFLOW_KEY_FILE": str(path)}, tmp_path)
