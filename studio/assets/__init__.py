"""Files people bring: pictures, videos and sounds, checked by their bytes."""
