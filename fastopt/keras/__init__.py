"""fastopt under Keras 3: losses, optimizers and initializers as Keras's, computed by fastopt's kernels.

`losses`, `optimizers` and `initializers` have Keras's classes, with Keras's names, arguments, defaults and results:
change the import, nothing else. The classes are subclasses of Keras's, go into `compile` and layers, and are saved and
loaded with a model.

On the torch backend the kernels work on the tensors where they lie: a loss's kernel writes value and gradient in one
pass (the gradient is kept for the backward pass, and a second derivative is refused), an optimizer steps all variables
in one pass. On the numpy backend the kernels work on arrays. On other backends, which give no addresses, Keras's own
code runs and nothing is gained. fastopt has no metrics and layers for Keras yet; Keras's work beside what there is.

`import fastopt.keras` is the only way in; it needs Keras: `pip install 'fastopt[keras]'`.
"""

from fastopt.keras import initializers, losses, optimizers

__all__ = ["initializers", "losses", "optimizers"]
