"""Unpacks an archive that came over the network into a folder, and nowhere else."""

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from hybridq.errors import BAD_INPUT, NotWritable, UserError
from hybridq.speech.audio.progress import bar


class BadArchive(UserError):
    """The archive is damaged, or holds something that a set of recordings has no need of."""

    def __init__(self, archive: Path, what: str) -> None:
        super().__init__(f"{archive}: {what}", BAD_INPUT)


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> None:
    """Unpack a `.tar.gz` into a new folder.

    Only plain files and folders inside it are taken: an absolute path, "..", a link or a device fails the
    whole archive. Owners and modes are not taken over. Everything is first written to a folder beside, which
    gets its name in one step, so `folder` is there whole or not at all. Raises BadArchive or NotWritable.
    """
    beside = folder.with_name(f".{folder.name}.unpacking")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _extract(archive, beside, progress)
        os.sync()  # else a power cut could leave the name with files yet unwritten
        beside.rename(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise NotWritable(folder, error) from error
    except UserError:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _extract(archive: Path, folder: Path, progress: bool) -> None:
    with (
        open(archive, "rb") as file,
        bar("unpacking", archive.stat().st_size, unit="bytes", show=progress) as done,
    ):
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                for count, member in enumerate(tar):
                    _write(tar, member, folder, archive)
                    if count % 100 == 0:
                        done(file.tell())
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise BadArchive(archive, f"the archive is damaged: {error}") from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
        raise BadArchive(archive, f"refused: '{member.name}' would leave the folder")
    if member.isdir():
        (folder / path).mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        raise BadArchive(archive, f"refused: '{member.name}' is neither a file nor a folder")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "xb") as file:  # "x": an archive that names a file twice is not ours
        shutil.copyfileobj(content, file)
