"""Attributes of any pictures, by the trained classifier; the command line is `__main__`."""

from pipeline.predict.pictures import predict_image
from pipeline.training.inference import Predictor

__all__ = ["Predictor", "predict_image"]
