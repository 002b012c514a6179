"""The generated demo: its pictures, its table with holes, and where they lie."""
