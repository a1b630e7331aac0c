"""`soundstage init`: writes the inventory of a farm from five answers."""

from app.farm_setup.answers import FarmAnswers
from app.farm_setup.defaults import default_answers
from app.farm_setup.inventory_files import inventory_files
from app.farm_setup.writing import compare_files, write_files

__all__ = ["FarmAnswers", "compare_files", "default_answers", "inventory_files", "write_files"]
