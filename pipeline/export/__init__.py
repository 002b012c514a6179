"""The trained classifier in other tools' formats, with its model card."""
