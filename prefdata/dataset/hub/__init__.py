"""Publishing a version on the Hugging Face hub, and bringing what was published back."""
