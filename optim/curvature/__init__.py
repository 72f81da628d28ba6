"""Second order: products with the Hessian, and minimizers that read the curvature.

The minimizers are for a smooth function of all the data, without noise, and share one signature and
one result: `minimize_x(f, x, *, tolerance, max_iterations) -> Minimum`. Each is one loop that runs
under jit and, over many starts at once, under vmap.
"""

from ._cg import minimize_cg as minimize_cg
from ._descent import Minimum as Minimum
from ._newton import minimize_newton as minimize_newton
from ._products import gnvp as gnvp
from ._products import hvp as hvp
from ._quasi_newton import minimize_bfgs as minimize_bfgs
from ._quasi_newton import minimize_lbfgs as minimize_lbfgs
