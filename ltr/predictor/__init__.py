"""A trained network that classifies images; the images that it was trained on need not be there."""

from ltr.predictor.network import adjustments_of, build, precision, trained
from ltr.predictor.predict import predict
from ltr.predictor.predictor import Predictor

__all__ = ["Predictor", "adjustments_of", "build", "precision", "predict", "trained"]
