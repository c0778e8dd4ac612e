"""Pictures from brain responses, through any generator."""
