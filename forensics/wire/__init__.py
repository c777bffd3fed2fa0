"""Pure numba kernels over DNS octets, and the arrays that cross between them."""
