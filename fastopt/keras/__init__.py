"""fastopt under Keras 3: losses, optimizers, metrics, layers and initializers as Keras's, on fastopt's kernels.

`losses`, `optimizers`, `metrics`, `layers` and `initializers` have Keras's classes, with Keras's names, arguments,
defaults and results: change the import, nothing else. The classes are subclasses of Keras's, go into `compile` and
models, and are saved and loaded with a model. Each room says what it leaves to Keras.

On the torch backend the kernels work on the tensors where they lie: what the backward pass of losses and layers needs
is kept from the forward pass (a second derivative is refused), and an optimizer steps all variables in one pass. On the
numpy backend the kernels work on arrays, and layers are Keras's. On other backends, which give no addresses, Keras's
own code runs and nothing is gained.

`import fastopt.keras` is the only way in; it needs Keras: `pip install 'fastopt[keras]'`.
"""

from fastopt.keras import initializers, layers, losses, metrics, optimizers

__all__ = ["initializers", "layers", "losses", "metrics", "optimizers"]
