"""The first run of an installation: the steps that lead to the first film, and which are done."""
