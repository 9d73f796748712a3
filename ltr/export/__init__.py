"""Networks for others: in other formats, and on the Hugging Face Hub."""

from ltr.export.export import export, light_run, usual_path
from ltr.export.formats import Format
from ltr.export.push import folder, upload
from ltr.export.trained import Trained

__all__ = ["Format", "Trained", "export", "folder", "light_run", "upload", "usual_path"]
