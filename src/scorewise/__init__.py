"""Learn scores by denoising; make synthetic tables and their evidence."""
