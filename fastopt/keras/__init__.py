"""fastopt under Keras 3: losses as Keras's, computed by fastopt's kernels with their gradients.

`losses` has Keras's classes and functions, with Keras's names, arguments, defaults and results: change the import,
nothing else. The classes are subclasses of Keras's, go into `compile`, and are saved and loaded with a model.

On the torch backend a kernel reads the tensors where they lie, and writes value and gradient in one pass; the gradient
is kept for the backward pass. A second derivative is refused. On the numpy backend a kernel reads the arrays. On other
backends, which give no addresses, Keras's own functions run and nothing is gained. fastopt has no initializers,
metrics, optimizers and layers for Keras yet; Keras's work beside these losses.

`import fastopt.keras` is the only way in; it needs Keras: `pip install 'fastopt[keras]'`.
"""

from fastopt.keras import losses

__all__ = ["losses"]
