"""Records decisions of people and rules in a hash chain, which breaks when a record is changed."""
