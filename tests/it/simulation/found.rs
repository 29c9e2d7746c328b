//! What the simulation has found, as the shortest lists of operations that show it.
