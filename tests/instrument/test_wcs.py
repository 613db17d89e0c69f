"""World coordinates in each form that headers tell them in, as astropy reads them."""

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS

from armillary.instrument.wcs import header_wcs

PLACES = np.array([[0.0, 0.0], [199.0, 0.0], [50.5, 99.0]])
SIP = {"A_ORDER": 2, "A_2_0": 1e-5, "B_ORDER": 2, "B_1_1": -2e-5}
TPV = {"PV1_1": 1.0, "PV2_1": 1.0, "PV1_4": 1e-3, "PV2_5": 1e-3}


def header(projection="TAN", **cards):
    fixed = {"CRVAL1": 150.0, "CRVAL2": -40.0, "CRPIX1": 20.0, "CRPIX2": 10.0, "CUNIT1": "deg", "CUNIT2": "deg"}
    kinds = {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}", "RADESYS": "ICRS"}
    return Header({"NAXIS": 2} | fixed | kinds | cards)


MATRICES = [
    {"CD1_1": -0.01, "CD1_2": 0.002, "CD2_1": 0.003, "CD2_2": 0.02},
    {"CD1_1": -0.01, "CD2_2": 0.02},
]
STEPS = [
    {"CDELT1": -0.01, "CDELT2": 0.02},
    {"CDELT1": -0.01, "CDELT2": 0.02, "PC1_1": 0.8, "PC1_2": 0.6, "PC2_1": -0.6, "PC2_2": 0.8},
    {"CDELT1": -0.01, "CDELT2": 0.02, "PC1_2": 0.5},
    {"CDELT1": -0.01, "CDELT2": 0.02, "CROTA2": 30.0},
]
PLAIN = [("TAN", {}, linear) for linear in MATRICES + STEPS]
# Polynomials of TPV are of degrees behind CDi_j; astropy would take them for those of what comes before CDELTi.
DISTORTED = [("TAN-SIP", SIP, linear) for linear in MATRICES + STEPS] + [("TPV", TPV, linear) for linear in MATRICES]


@pytest.mark.parametrize(("projection", "distortion", "linear"), PLAIN + DISTORTED)
def test_each_form_of_the_linear_part_is_read_as_astropy_reads_it(projection, distortion, linear):
    cards = header(projection, **distortion, **linear)
    found = header_wcs(cards).all_pix2world(PLACES, 0)
    expected = WCS(cards).all_pix2world(PLACES, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_what_astropy_writes_is_read():
    made = header_wcs(header(CD1_1=-0.01, CD1_2=0.002, CD2_1=0.003, CD2_2=0.02))
    np.testing.assert_allclose(header_wcs(made.to_header()).all_pix2world(PLACES, 0), made.all_pix2world(PLACES, 0))


def test_a_header_without_a_linear_part_is_told():
    with pytest.raises(ValueError, match="neither `CD1_1` nor `CDELT1`"):
        header_wcs(header())
    with pytest.raises(ValueError, match=r"no usable WCS: .*CRVAL1"):
        cards = header(CDELT1=1.0, CDELT2=1.0)
        del cards["CRVAL1"]
        header_wcs(cards)
