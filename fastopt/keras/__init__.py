"""fastopt under Keras 3: losses and initializers as Keras's, computed by fastopt's kernels.

`losses` and `initializers` have Keras's classes, with Keras's names, arguments, defaults and results: change the
import, nothing else. The classes are subclasses of Keras's, go into `compile` and layers, and are saved and loaded with
a model.

On the torch backend a loss's kernel reads the tensors where they lie, and writes value and gradient in one pass; the
gradient is kept for the backward pass. A second derivative is refused. On the numpy backend a kernel reads the arrays.
On other backends, which give no addresses, Keras's own code runs and nothing is gained. fastopt has no metrics,
optimizers and layers for Keras yet; Keras's work beside what there is.

`import fastopt.keras` is the only way in; it needs Keras: `pip install 'fastopt[keras]'`.
"""

from fastopt.keras import initializers, losses

__all__ = ["initializers", "losses"]
