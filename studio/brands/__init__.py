"""Brand kits: colours, fonts, logo, captions, cards and music that projects share."""
