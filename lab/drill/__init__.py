"""Rehearses failures on a copy of the operator's farm (`soundstage lab drill`)."""
