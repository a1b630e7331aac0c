"""The farm in a box: real Debian machines on this one, for tests, for drills, and for trying a change before
real machines see it. `lab.farm_in_a_box.Lab` is the door; `soundstage lab …` and tests/lab go through it."""
