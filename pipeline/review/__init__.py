"""The page on which a person looks at cells and answers; its answers are corrections."""
