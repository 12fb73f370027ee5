"""What differs between two versions: pairs, what judges say of them, and how they were made."""
