"""Checks of one machine (`soundstage doctor`) and of the installation (`soundstage health`)."""
