"""What happens on the course of a run: new starts at breaks and doses, signs that are kept, values on the way, coming to rest."""
