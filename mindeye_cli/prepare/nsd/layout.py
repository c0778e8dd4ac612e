"""Where the Natural Scenes Dataset keeps each file, and how its subjects and sessions are named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem

N_SUBJECTS = 8
# Scan sessions of subjects 1 to 8.
SESSIONS_OF = (40, 40, 32, 30, 40, 32, 40, 30)
_PREFIXES = ("lh.", "rh.")
DEFAULT_BETAS = "betas_fithrf_GLMdenoise_RR"
NIFTI_ENDINGS = (".nii.gz", ".nii")
# In the order of preference: NSD has the same betas as .nii.gz and as .hdf5.
BETA_ENDINGS = (*NIFTI_ENDINGS, ".hdf5", ".h5", ".mat")
SURFACE_BETA_ENDINGS = (".mgh", ".mgz", ".hdf5", ".h5")
SURFACE_ROI_ENDINGS = (".mgz", ".mgh", ".label")
HEMISPHERES = ("lh", "rh")
SPACES = ("func1pt8mm", "func1mm", "fsaverage", "nativesurface")
SURFACES = ("fsaverage", "nativesurface")
# Every ROI file that NSD distributes; a folder of surface labels holds much else.
NSD_ATLASES = (
    "nsdgeneral",
    "prf-visualrois",
    "prf-eccrois",
    "floc-faces",
    "floc-words",
    "floc-places",
    "floc-bodies",
    "streams",
    "Kastner2015",
    "HCP_MMP1",
    "corticalsulc",
    "visualsulc",
    "fVTC",
    "MTL",
    "thalamus",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NsdLayout:
    """Paths of one subject's files below the data set's root.

    Attributes
    ----------
    root : Path
        Folder that holds `nsddata`, `nsddata_betas` and `nsddata_stimuli`.
    subject : int
        1 to 8.
    betas : str
        Name of the betas' version, such as `betas_fithrf_GLMdenoise_RR`.
    volume_space : str
        Name of the functional space, one of `SPACES`; on a surface, voxels are the vertices of
        the left, then of the right hemisphere.
    """

    root: Path
    subject: int
    betas: str = DEFAULT_BETAS
    volume_space: str = "func1pt8mm"

    @property
    def name(self) -> str:
        """The subject as NSD and the store call it, such as `subj01`."""
        return f"subj{self.subject:02d}"

    @property
    def stimuli(self) -> Path:
        """HDF5 file of all pictures."""
        return self.root / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"

    @property
    def experiments(self) -> Path:
        """Folder of the design files."""
        return self.root / "nsddata/experiments/nsd"

    @property
    def design(self) -> Path:
        """MATLAB design file."""
        return self.experiments / "nsd_expdesign.mat"

    @property
    def stimulus_table(self) -> Path:
        """CSV table of all pictures with the trials that showed them."""
        return self.experiments / "nsd_stim_info_merged.csv"

    @property
    def responses(self) -> Path:
        """The subject's behaviour, one row per trial."""
        return self.root / "nsddata/ppdata" / self.name / "behav/responses.tsv"

    @property
    def surface(self) -> bool:
        """Whether responses are those of vertices, a file for each hemisphere."""
        return self.volume_space in SURFACES

    @property
    def roi_folder(self) -> Path:
        """Folder of the ROI volumes, or of the labels of a surface."""
        if self.surface:
            own = "fsaverage" if self.volume_space == "fsaverage" else self.name
            return self.root / "nsddata/freesurfer" / own / "label"
        return self.root / "nsddata/ppdata" / self.name / self.volume_space / "roi"

    @property
    def betas_folder(self) -> Path:
        """Folder of the sessions' betas."""
        return self.root / "nsddata_betas/ppdata" / self.name / self.volume_space / self.betas

    @property
    def ncsnr(self) -> tuple[Path, ...]:
        """NSD's own noise-ceiling SNR, from all trials; of a surface, by hemisphere."""
        if self.surface:
            return tuple(self.betas_folder / f"{side}.ncsnr.mgh" for side in HEMISPHERES)
        return (self.betas_folder / "ncsnr.nii.gz",)

    def roi(self, name: str) -> tuple[Path, ...]:
        """Files of an atlas: both hemispheres in one volume, a surface's by hemisphere.

        `lh.NAME` and `rh.NAME` are one hemisphere's.
        """
        if not self.surface:
            return (_first_existing(self.roi_folder / name),)
        sided = (name,) if name.startswith(_PREFIXES) else (f"{p}{name}" for p in _PREFIXES)
        return tuple(_first_existing(self.roi_folder / n, SURFACE_ROI_ENDINGS) for n in sided)

    def has_roi(self, name: str) -> bool:
        """Whether every file of an atlas is there."""
        # File systems refuse longer names.
        return len(name) < 200 and all(path.is_file() for path in self.roi(name))

    def roi_names(self) -> list[str]:
        """Atlases whose labels of both hemispheres are there, sorted.

        Of a surface those that NSD distributes or that have a table of names.
        """
        endings = SURFACE_ROI_ENDINGS[:2] if self.surface else NIFTI_ENDINGS
        names = {
            path.name.removesuffix(ending)
            for ending in endings
            for path in self.roi_folder.glob(f"{'lh.' if self.surface else ''}*{ending}")
        }
        if not self.surface:
            return sorted(name for name in names if not name.startswith((*_PREFIXES, ".")))
        atlases = {name.removeprefix("lh.") for name in names}
        return sorted(
            name
            for name in atlases
            if self.has_roi(name) and (name in NSD_ATLASES or self.label_table(name).is_file())
        )

    def label_table(self, name: str) -> Path:
        """FreeSurfer's table of an atlas's label names; it lies in the freesurfer tree."""
        folder = self.root / "nsddata/freesurfer" / self.name / "label"
        shared = self.roi_folder / f"{name}.mgz.ctab"
        return shared if self.surface and shared.is_file() else folder / f"{name}.mgz.ctab"

    def betas_files(self, session: int) -> tuple[Path, ...]:
        """Betas of one session, counted from 1; of a surface, by hemisphere."""
        name = f"betas_session{session:02d}"
        if self.surface:
            stems = (self.betas_folder / f"{side}.{name}" for side in HEMISPHERES)
            return tuple(_first_existing(stem, SURFACE_BETA_ENDINGS) for stem in stems)
        return (_first_existing(self.betas_folder / name, BETA_ENDINGS),)

    def sessions_present(self) -> list[int]:
        """Sessions of whose betas a file is there, ascending."""
        pattern = re.compile(r"(?:[lr]h\.)?betas_session(\d+)\.[a-z0-9.]+")
        names = self.betas_folder.glob("*betas_session*") if self.betas_folder.is_dir() else ()
        numbers = {int(m[1]) for path in names if (m := pattern.fullmatch(path.name))}
        return sorted(n for n in numbers if any(p.exists() for p in self.betas_files(n)))


def _first_existing(stem: Path, endings: tuple[str, ...] = NIFTI_ENDINGS) -> Path:
    """The file of that name with the first ending that is there, or with the first of all."""
    candidates = [stem.with_name(stem.name + ending) for ending in endings]
    return next((path for path in candidates if path.exists()), candidates[0])


def parse_subject(text: str) -> int:
    """Subject number from `1`, `01`, `subj01` or `subj1`.

    Raises
    ------
    UsageProblem
        Not one of the eight subjects.
    """
    found = re.fullmatch(r"(?:subj)?0*(\d+)", text.strip())
    if found is None or not 1 <= int(found[1]) <= N_SUBJECTS:
        raise UsageProblem(f"NSD's subjects are 1 to {N_SUBJECTS}, not {text!r}", where="--subject")
    return int(found[1])


def parse_sessions(text: str) -> tuple[int, ...]:
    """Sessions from a list of numbers and ranges such as `1-10,12`, ascending.

    Raises
    ------
    UsageProblem
        Not such a list.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= low <= high <= max(SESSIONS_OF):
            raise UsageProblem(
                f"{part.strip()!r} is not a session or a range of sessions in 1 to 40",
                where="--sessions",
                fix="write for example --sessions 1-37",
            )
        chosen.update(range(low, high + 1))
    return tuple(sorted(chosen))


def sessions_to_read(layout: NsdLayout, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    """The sessions asked for, or all that are there when none were.

    Raises
    ------
    MissingResource
        A session's file is absent; or, when none were asked for, a session before the last one.
    """
    present = layout.sessions_present()
    if wanted is None and not present:
        first = layout.betas_files(1)[0]
        raise MissingResource(
            "no betas of this subject",
            where=str(first.with_name(first.name.replace("session01", "sessionNN"))),
            fix="mindeye prepare nsd ... --dry-run lists the files that are needed",
        )
    sessions = wanted or tuple(range(1, max(present) + 1))
    absent = {
        session: path
        for session in sessions
        for path in reversed(layout.betas_files(session))
        if not path.exists()
    }
    if absent:
        kept = ",".join(str(session) for session in sessions if session not in absent)
        rest = f", or take the others with --sessions {kept}" if kept else ""
        raise MissingResource(
            f"session {min(absent)} has no betas ({len(absent)} of {len(sessions)} are missing)",
            where=str(absent[min(absent)]),
            fix=f"download it{rest}",
        )
    return sessions


def need_file(path: Path, what: str, fix: str = "download it from NSD's bucket") -> Path:
    """Return `path` when it is a file.

    Raises
    ------
    MissingResource
        It is not there.
    InvalidInput
        It is something else than a file.
    """
    if not path.exists():
        raise MissingResource(f"{what} is missing", where=str(path), fix=fix)
    if not path.is_file():
        raise InvalidInput(f"{what} is not a file", where=str(path))
    return path
