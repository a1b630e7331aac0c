"""Engine `motion`: a person's own video, their movement kept, their mouth driven anew."""
