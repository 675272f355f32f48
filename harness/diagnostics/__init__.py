"""What stored logits say about views: which harm, repeat each other, help together or were never trained on."""
