"""English for the extraction rules: kinds of nouns, lemmas of verbs, tense, dates, and stand-ins for rare names."""
