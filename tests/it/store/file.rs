//! What is particular to a store in a file.
